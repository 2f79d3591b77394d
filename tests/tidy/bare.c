/* A program built without any hardening, on which every check of hardening.sh must fail. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", argv[argc - 1]);
    memmove(copy + 1, copy, strlen(copy) % 32);
    return copy[0] == copy[1];
}
