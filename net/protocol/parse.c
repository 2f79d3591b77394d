/* Framing of the line dialect: lines, words, quotes, payloads. */
#include "net/protocol/parse.h"

#include "net/protocol/foreign.h"
#include "net/protocol/number.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"

#include <stdlib.h>

/* The state of a line that is being cut into words. */
struct line_cut {
    struct span line; /* without its line end */
    size_t at;
    bool is_bare;     /* the last word was written without quotes or colon */
    bool has_dollar;  /* ... and is `$...`, and ends the line */
    const char *text; /* the reason of a failure */
};

int parser_init(struct parser *parser)
{
    parser->used = 0;
    parser->unquoted = malloc(PARSE_LINE_BYTES_MAX);
    return parser->unquoted == NULL ? TALLY_NOMEM : 0;
}

void parser_fini(struct parser *parser)
{
    free(parser->unquoted);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads what follows a backslash at *at; returns the byte, or -1. */
static int unescape(struct span line, size_t *at)
{
    if (*at >= line.len) {
        return -1;
    }
    char c = line.at[(*at)++];
    switch (c) {
    case '"':
    case '\\':
        return c;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'x':
        break;
    default:
        return -1;
    }
    if (line.len - *at < 2) {
        return -1;
    }
    int high = hex_digit(line.at[*at]);
    int low = hex_digit(line.at[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Cuts a quoted word. The unquoted text is never longer than the line, so it fits the buffer. */
static bool cut_quoted(struct parser *parser, struct line_cut *cut, struct span *word)
{
    struct span line = cut->line;
    char *to = parser->unquoted + parser->used;
    size_t len = 0;
    /* a byte of the line makes at most one unquoted byte, and no line is longer than the buffer */
    CHECK(line.len - cut->at <= PARSE_LINE_BYTES_MAX - parser->used);
    cut->at++;
    while (cut->at < line.len && line.at[cut->at] != '"') {
        int byte = (unsigned char)line.at[cut->at++];
        if (byte == '\\') {
            byte = unescape(line, &cut->at);
        }
        if (byte < 0) {
            cut->text = "a bad escape: \\\" \\\\ \\n \\r \\t \\xHH are those there are";
            return false;
        }
        to[len++] = (char)byte;
    }
    if (cut->at >= line.len) {
        cut->text = "the quote is not closed";
        return false;
    }
    cut->at++;
    if (cut->at < line.len && line.at[cut->at] != ' ') {
        cut->text = "a blank must follow a closing quote";
        return false;
    }
    parser->used += len;
    *word = (struct span){to, len};
    return true;
}

static void skip_blanks(struct line_cut *cut)
{
    while (cut->at < cut->line.len && cut->line.at[cut->at] == ' ') {
        cut->at++;
    }
}

/* Cuts the next word. REQUIRES: there is one. */
static bool cut_word(struct parser *parser, struct line_cut *cut, struct span *word)
{
    struct span line = cut->line;
    /* cut_line calls it only when the line goes on behind the blanks */
    CHECK(cut->at < line.len);
    char first = line.at[cut->at];
    cut->is_bare = first != '"' && first != ':';
    if (first == '"') {
        return cut_quoted(parser, cut, word);
    }
    if (first == ':') {
        *word = (struct span){line.at + cut->at + 1, line.len - cut->at - 1};
        cut->at = line.len;
        return true;
    }
    size_t start = cut->at;
    const char *blank = memchr(line.at + start, ' ', line.len - start);
    cut->at = blank == NULL ? line.len : (size_t)(blank - line.at);
    *word = (struct span){line.at + start, cut->at - start};
    return true;
}

/* Whether the line's last word begins with `$`: then a payload may follow, and the connection has
 * to be closed, or the payload would be read as requests. */
static bool ends_in_dollar(struct span line)
{
    while (line.len > 0 && line.at[line.len - 1] == ' ') {
        line.len--;
    }
    const char *blank = line.len > 0 ? memrchr(line.at, ' ', line.len) : NULL;
    const char *word = blank == NULL ? line.at : blank + 1;
    return line.len > 0 && *word == '$';
}

static struct parsed parse_refuse(struct line_cut *cut, size_t consumed, int err, const char *text)
{
    return (struct parsed){.kind = PARSE_ERROR,
                           .consumed = consumed,
                           .err = err,
                           .text = text,
                           .then_close = cut->has_dollar || ends_in_dollar(cut->line)};
}

/* Cuts the whole line. words[0] is the verb. Returns the number of words, 0 for a failure. */
static size_t cut_line(struct parser *parser, struct line_cut *cut, struct span *words, bool *rest)
{
    size_t count = 0;
    *rest = false;
    parser->used = 0;
    for (skip_blanks(cut); cut->at < cut->line.len; skip_blanks(cut)) {
        if (count > PARSE_WORDS_MAX) {
            cut->text = "too many words";
            return 0;
        }
        *rest = cut->line.at[cut->at] == ':';
        if (!cut_word(parser, cut, &words[count])) {
            return 0;
        }
        bool dollar = cut->is_bare && words[count].at[0] == '$';
        if (cut->has_dollar) {
            cut->text = "a word that begins with $ is quoted, or is the last one";
            return 0;
        }
        cut->has_dollar = dollar;
        count++;
    }
    /* a word beyond that was refused before it was cut */
    CHECK(count <= PARSE_WORDS_MAX + 1);
    if (count == 0) {
        cut->text = "an empty line";
    }
    return count;
}

static bool takes_payload(struct payload_rule rule)
{
    return rule.kind == PAYLOAD_LAST || rule.kind == PAYLOAD_AFTER;
}

/* Moves the payload's word, and the one that announces it, out of the words. */
static void take_payload(struct request *request, struct payload_rule rule, struct span payload)
{
    if (request->count == 0 || !takes_payload(rule)) {
        return;
    }
    /* the rule is a row of the command table, whatever the line says */
    CHECK(rule.kind == PAYLOAD_LAST || rule.word != NULL);
    if (rule.kind == PAYLOAD_LAST) {
        request->count -= 1;
    } else if (request->count >= 2 && word_equal(request->words[request->count - 2], rule.word)) {
        request->count -= 2;
    } else {
        return;
    }
    request->has_payload = true;
    request->payload = payload;
}

/* The line ended in `$N`: looks for the N bytes and the line end behind them. */
static struct parsed counted(struct span bytes, struct line_cut *cut, size_t line_bytes,
                             const struct parse_limits *limits, struct span *payload)
{
    /* has_dollar was set by this word's first byte */
    CHECK(payload->len > 0 && payload->at[0] == '$');
    struct span digits = {payload->at + 1, payload->len - 1};
    uint64_t len = 0;
    struct parsed how =
        parse_refuse(cut, line_bytes, number_read(digits, 0, PARSE_DROP_BYTES_MAX, &len),
                     "$ takes the number of bytes that follow");
    if (how.err == TALLY_RANGE) {
        how.err = TALLY_TOOBIG;
        how.text = "a payload past all bounds";
    } else if (how.err == TALLY_INVAL) {
        how.err = TALLY_SYNTAX;
    } else if (limits->locked || len > limits->payload_bytes_max) {
        how.kind = PARSE_DROP;
        how.drop = len;
        how.err = limits->locked ? TALLY_NOAUTH : TALLY_TOOBIG;
        how.text = limits->locked ? "send AUTH first" : "the payload is larger than allowed";
        how.then_close = false;
    } else {
        size_t end = line_bytes + len;
        bool has_cr = bytes.len > end && bytes.at[end] == '\r';
        *payload = (struct span){bytes.at + line_bytes, len};
        how.kind = PARSE_REQUEST;
        how.consumed = end + has_cr + 1;
        if (bytes.len < how.consumed) {
            how.kind = PARSE_MORE;
            how.need = how.consumed;
        } else if (bytes.at[how.consumed - 1] != '\n') {
            how.kind = PARSE_ERROR;
            how.err = TALLY_SYNTAX;
            how.text = "no line end where the payload has to end";
            how.then_close = true;
        }
    }
    return how;
}

/* Refuses a line. If it is of another protocol, it is not answered. */
static struct parsed refuse_line(struct line_cut *cut, size_t line_bytes,
                                 const struct parse_limits *limits, int err, const char *text)
{
    if (foreign_line(cut->line) || (limits->is_first && !foreign_is_text(cut->line))) {
        return (struct parsed){.kind = PARSE_FOREIGN, .consumed = line_bytes};
    }
    return parse_refuse(cut, line_bytes, err, text);
}

static struct parsed parse_line(struct parser *parser, struct span bytes, struct line_cut *cut,
                                const struct parse_limits *limits, struct request *request)
{
    struct span words[PARSE_WORDS_MAX + 1];
    bool rest;
    size_t line_bytes = cut->at;
    cut->at = 0;
    size_t count = cut_line(parser, cut, words, &rest);
    DCHECK(cut->at <= cut->line.len && parser->used <= PARSE_LINE_BYTES_MAX);
    if (count == 0) {
        return refuse_line(cut, line_bytes, limits, TALLY_SYNTAX, cut->text);
    }
    struct parsed how = {.kind = PARSE_REQUEST, .consumed = line_bytes};
    struct span payload = words[count - 1];
    request->verb = words[0];
    request->count = count - 1;
    request->has_payload = false;
    memcpy(request->words, words + 1, (count - 1) * sizeof(words[0]));
    struct payload_rule rule = limits->rule(words[0]);
    if (rule.kind == PAYLOAD_UNKNOWN_VERB) {
        return refuse_line(cut, line_bytes, limits, limits->locked ? TALLY_NOAUTH : TALLY_UNKNOWN,
                           limits->locked ? "send AUTH first" : "no such verb: try HELP");
    }
    if (!takes_payload(rule) && (rest || cut->has_dollar)) {
        return parse_refuse(cut, line_bytes, TALLY_SYNTAX,
                            "this verb takes no payload: quote a word that begins with $ or :");
    }
    if (cut->has_dollar) {
        how = counted(bytes, cut, line_bytes, limits, &payload);
    }
    if (how.kind == PARSE_REQUEST) {
        take_payload(request, rule, payload);
    }
    return how;
}

struct parsed parse(struct parser *parser, struct span bytes, const struct parse_limits *limits,
                    struct request *request)
{
    size_t look = limits->line_bytes_max + 2;
    look = bytes.len < look ? bytes.len : look;
    const char *lf = look > 0 ? memchr(bytes.at, '\n', look) : NULL;
    size_t len = lf == NULL ? bytes.len : (size_t)(lf - bytes.at);
    size_t line_bytes = len + 1;
    if (lf != NULL && len > 0 && bytes.at[len - 1] == '\r') {
        len--;
    }
    if (limits->is_first && foreign_begin((struct span){bytes.at, len})) {
        return (struct parsed){.kind = PARSE_FOREIGN, .consumed = bytes.len};
    }
    /* a line without LF yet may end in a CR, which does not count */
    if (len > limits->line_bytes_max + (lf == NULL)) {
        return (struct parsed){.kind = PARSE_ERROR,
                               .consumed = bytes.len,
                               .err = TALLY_TOOLONG,
                               .text = "the line is too long: send long things as payload, $N",
                               .then_close = true};
    }
    if (lf == NULL) {
        return (struct parsed){.kind = PARSE_MORE};
    }
    struct line_cut cut = {.line = {bytes.at, len}, .at = line_bytes};
    if (len > 0 && memchr(bytes.at, '\0', len) != NULL) {
        /* text has no NUL byte: the client is out of step, or speaks another protocol */
        struct parsed how =
            refuse_line(&cut, line_bytes, limits, TALLY_SYNTAX, "a NUL byte in the line");
        how.then_close = true;
        return how;
    }
    return parse_line(parser, bytes, &cut, limits, request);
}
