// The tokenizer: a state (tokens allowed next), a depth, and one bit for each open container.
#include "json.h"

#include "number.h"

#include <string.h>

enum { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COMMA_OR_END, NOTHING };

void json_start(json *j, const char *text, size_t bytes, unsigned depth_max)
{
    *j = (json){
        .text = text, .bytes = bytes, .depth_max = depth_max < JSON_DEPTH ? depth_max : JSON_DEPTH, .next = VALUE};
}

static json_kind bad(json *j, const char *why) // JSON_BAD, which is also false
{
    j->why = why;
    return JSON_BAD;
}

static int peek(const json *j) // the next byte, -1 at the end
{
    return j->at < j->bytes ? (unsigned char)j->text[j->at] : -1;
}

static void skip_blanks(json *j)
{
    for (int c = peek(j); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(j)) j->at++;
}

// ---- strings --------------------------------------------------------------------------------------------------------

size_t json_utf8(const char *p, size_t n)
{
    const unsigned char *s = (const unsigned char *)p;
    if (n == 0) return 0;
    if (s[0] < 0x80) return 1;
    const size_t bytes = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (bytes == 0 || n < bytes) return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0; // overlong: 3 bytes are for 0x800 and up
    if (s[0] == 0xed && s[1] > 0x9f) return 0; // surrogates
    if (s[0] == 0xf0 && s[1] < 0x90) return 0; // overlong: 4 bytes are for 0x10000 and up
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0; // beyond 0x10ffff
    return bytes;
}

static bool hex4(const char *p, size_t n, unsigned *x)
{
    *x = 0;
    if (n < 4) return false;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return false;
        *x = *x << 4 | (unsigned)digit;
    }
    return true;
}

// Parses the escape at p [n], which begins with a backslash: length and code point. 0: not an escape.
static size_t escape(const char *p, size_t n, unsigned *point)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    unsigned low;
    if (n < 2) return 0;
    if (p[1] != 'u') {
        const char *found = p[1] != '\0' ? strchr(letters, p[1]) : NULL;
        if (!found) return 0;
        *point = (unsigned char)meant[found - letters];
        return 2;
    }
    if (!hex4(p + 2, n - 2, point) || (*point >= 0xdc00 && *point < 0xe000)) return 0;
    if (*point < 0xd800 || *point >= 0xdc00) return 6;
    if (n < 12 || p[6] != '\\' || p[7] != 'u' || !hex4(p + 8, n - 8, &low) || low < 0xdc00 || low >= 0xe000) return 0;
    *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

static bool string(json *j, json_token *t)
{
    j->at++; // the quote
    t->text = j->text + j->at;
    for (;;) {
        const int c = peek(j);
        const char *p = j->text + j->at;
        const size_t left = j->bytes - j->at;
        unsigned point;
        size_t n;
        if (c < 0) return bad(j, "a string that does not end");
        if (c == '"') break;
        if (c < 0x20) return bad(j, "a control character in a string");
        if (c == '\\') {
            n = escape(p, left, &point);
            if (n == 0) return bad(j, "an escape that does not exist, or half of a surrogate pair");
        } else {
            n = json_utf8(p, left);
            if (n == 0) return bad(j, "not UTF-8");
        }
        j->at += n;
    }
    t->bytes = (size_t)(j->text + j->at - t->text);
    j->at++;
    return true;
}

static size_t put_utf8(char out[4], unsigned c)
{
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

bool json_string(const json_token *t, char *out, size_t room, size_t *n)
{
    size_t length = 0;
    for (size_t i = 0; i < t->bytes;) {
        char c[4] = {t->text[i]};
        unsigned point = 0;
        size_t read = 1, made = 1;
        if (c[0] == '\\') {
            read = escape(t->text + i, t->bytes - i, &point);
            if (read == 0) return false; // not a token of json_next
            made = put_utf8(c, point);
        }
        if (made >= room - length) return false; // keeps one byte for the NUL
        memcpy(out + length, c, made);
        length += made;
        i += read;
    }
    if (room == 0) return false;
    out[length] = '\0';
    *n = length;
    return true;
}

bool json_is(const json_token *t, const char *ascii)
{
    return strlen(ascii) == t->bytes && memcmp(t->text, ascii, t->bytes) == 0;
}

// ---- numbers --------------------------------------------------------------------------------------------------------

static bool some_digits(json *j)
{
    const size_t from = j->at;
    for (int c = peek(j); c >= '0' && c <= '9'; c = peek(j)) j->at++;
    return j->at > from;
}

static bool number(json *j, json_token *t)
{
    if (peek(j) == '-') j->at++;
    if (peek(j) == '0') {
        j->at++;
        if (peek(j) >= '0' && peek(j) <= '9') return bad(j, "a number with a leading zero");
    } else if (!some_digits(j)) {
        return bad(j, "a minus sign without a number");
    }
    if (peek(j) == '.') {
        j->at++;
        if (!some_digits(j)) return bad(j, "a decimal point without digits");
    }
    if (peek(j) == 'e' || peek(j) == 'E') {
        j->at++;
        if (peek(j) == '+' || peek(j) == '-') j->at++;
        if (!some_digits(j)) return bad(j, "an exponent without digits");
    }
    t->bytes = (size_t)(j->text + j->at - t->text);
    return true;
}

bool json_u64(const json_token *t, uint64_t *x)
{
    char digits[24]; // 2^64 has 20, and a token has no leading zeros
    if (t->bytes >= sizeof digits) return false;
    memcpy(digits, t->text, t->bytes);
    digits[t->bytes] = '\0';
    return parse_count(digits, x);
}

bool json_real(const json_token *t, double *x)
{
    char number_text[256];
    if (t->bytes >= sizeof number_text) return false;
    memcpy(number_text, t->text, t->bytes);
    number_text[t->bytes] = '\0';
    return parse_real(number_text, x);
}

// ---- structure ------------------------------------------------------------------------------------------------------

static bool in_object(const json *j) { return j->objects >> (j->depth - 1) & 1; } // depth > 0

static void after_value(json *j) { j->next = j->depth > 0 ? COMMA_OR_END : NOTHING; }

static json_kind open_container(json *j, bool object)
{
    if (j->depth >= j->depth_max) return bad(j, "nested too deeply");
    const uint64_t bit = (uint64_t)1 << j->depth;
    j->objects = object ? j->objects | bit : j->objects & ~bit;
    j->depth++;
    j->at++;
    j->next = object ? KEY_OR_END : VALUE_OR_END;
    return object ? JSON_OBJECT : JSON_ARRAY;
}

static json_kind close_container(json *j)
{
    const bool object = in_object(j);
    if (peek(j) != (object ? '}' : ']')) return bad(j, "a comma or a closing bracket is missing");
    j->depth--;
    j->at++;
    after_value(j);
    return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static json_kind key(json *j, json_token *t)
{
    if (peek(j) != '"') return bad(j, "a key in quotes is missing");
    if (!string(j, t)) return JSON_BAD;
    skip_blanks(j);
    if (peek(j) != ':') return bad(j, "a colon is missing");
    j->at++;
    j->next = VALUE;
    return JSON_KEY;
}

static json_kind word(json *j, json_token *t, const char *spelt, json_kind kind)
{
    t->bytes = strlen(spelt);
    if (j->bytes - j->at < t->bytes || memcmp(t->text, spelt, t->bytes) != 0) return bad(j, "not a JSON value");
    j->at += t->bytes;
    return kind;
}

static json_kind value(json *j, json_token *t)
{
    const int c = peek(j);
    json_kind kind;
    if (c == '{' || c == '[') return open_container(j, c == '{');
    if (c == '"')
        kind = string(j, t) ? JSON_STRING : JSON_BAD;
    else if (c == '-' || (c >= '0' && c <= '9'))
        kind = number(j, t) ? JSON_NUMBER : JSON_BAD;
    else if (c == 't')
        kind = word(j, t, "true", JSON_TRUE);
    else if (c == 'f')
        kind = word(j, t, "false", JSON_FALSE);
    else if (c == 'n')
        kind = word(j, t, "null", JSON_NULL);
    else
        kind = bad(j, c < 0 ? "the text ends too early" : "not a JSON value");
    if (kind != JSON_BAD) after_value(j);
    return kind;
}

json_kind json_next(json *j, json_token *t)
{
    if (j->why) return JSON_BAD;
    skip_blanks(j);
    if (j->next == COMMA_OR_END && peek(j) == ',') {
        j->at++;
        skip_blanks(j);
        j->next = in_object(j) ? KEY : VALUE;
    }
    *t = (json_token){j->text + j->at, 0};
    switch (j->next) {
    case NOTHING: return peek(j) < 0 ? JSON_END : bad(j, "text after the end");
    case COMMA_OR_END: return close_container(j);
    case KEY_OR_END: return peek(j) == '}' ? close_container(j) : key(j, t);
    case KEY: return key(j, t);
    case VALUE_OR_END: return peek(j) == ']' ? close_container(j) : value(j, t);
    default: return value(j, t);
    }
}
