# tally_test(NAME name SOURCES file... [LINK target...] [LABELS label...] TIMEOUT seconds
#            [ARGS arg...] [DEPENDS target...] [CRITERION])
#
# Makes the executable `name`, links tally_flags and LINK to it (and Criterion with CRITERION), and adds
# the test `name`, which runs it with ARGS and passes when it exits 0. DEPENDS are targets that must
# be built before, for a test that starts tallyd. Further properties (RUN_SERIAL, RESOURCE_LOCK,
# ENVIRONMENT) may be set afterwards with set_property(TEST name ...), inside if(TEST name).
#
# Labels with a meaning here: `torture` is what runs under ThreadSanitizer, and nothing else does
# (Criterion aborts there); `asan-only` does not run in the release build; `release-only` runs
# nowhere else (it times, reads or traces the binary). Everything else runs in both.
function(tally_test)
    cmake_parse_arguments(PARSE_ARGV 0 T "CRITERION" "NAME;TIMEOUT"
        "SOURCES;LINK;LABELS;ARGS;DEPENDS")
    if(NOT T_NAME OR NOT T_SOURCES OR NOT T_TIMEOUT)
        message(FATAL_ERROR "tally_test '${T_NAME}': NAME, SOURCES and TIMEOUT are needed")
    endif()
    if(T_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tally_test ${T_NAME}: what is '${T_UNPARSED_ARGUMENTS}'?")
    endif()

    add_executable(${T_NAME} ${T_SOURCES})
    target_link_libraries(${T_NAME} PRIVATE tally_flags ${T_LINK})
    if(T_CRITERION AND TALLY_TESTS)
        target_link_libraries(${T_NAME} PRIVATE PkgConfig::CRITERION)
    endif()

    tally_test_is_wanted(wanted ${T_LABELS})
    if(NOT wanted)
        set_target_properties(${T_NAME} PROPERTIES EXCLUDE_FROM_ALL ON)
        return()
    endif()
    if(T_DEPENDS)
        add_dependencies(${T_NAME} ${T_DEPENDS})
    endif()
    add_test(NAME ${T_NAME} COMMAND ${T_NAME} ${T_ARGS})
    set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}")
endfunction()

# Sets `result` to whether a test with these labels runs in this build.
function(tally_test_is_wanted result)
    set(labels ${ARGN})
    set(wanted ${TALLY_TESTS})
    if(TALLY_SANITIZE STREQUAL "thread" AND NOT "torture" IN_LIST labels)
        set(wanted OFF)
    endif()
    if(TALLY_SANITIZE AND "release-only" IN_LIST labels)
        set(wanted OFF)
    endif()
    if(NOT TALLY_SANITIZE AND "asan-only" IN_LIST labels)
        set(wanted OFF)
    endif()
    set(${result} ${wanted} PARENT_SCOPE)
endfunction()
