"""A small C project: a library, a program, a test program and a Makefile. Written where asked.

Its build prints the same bytes wherever it runs: relative paths, one job at a time.
"""
import pathlib

FILES = {
    "Makefile": """\
CFLAGS = -O1 -Wall -Wextra -Werror
OBJECTS = build/words.o build/main.o

all: build/count
build/%.o: src/%.c src/words.h | build
\t$(CC) $(CFLAGS) -c $< -o $@
build/count: $(OBJECTS)
\t$(CC) $(OBJECTS) -o $@
build/words_test: build/words.o test/words_test.c
\t$(CC) $(CFLAGS) -Isrc build/words.o test/words_test.c -o $@
build:
\tmkdir -p build
test: build/count build/words_test
\tbuild/words_test
\tprintf 'one two\\nthree\\n' | build/count | diff - test/expected
.PHONY: all test
""",
    "src/words.h": """\
#ifndef WORDS_H
#define WORDS_H
#include <stddef.h>
size_t count_words(const char *text, size_t size);
#endif
""",
    "src/words.c": """\
#include "words.h"

#include <ctype.h>

size_t count_words(const char *text, size_t size) {
    size_t words = 0, i = 0;
    while (i < size) {
        while (i < size && isspace((unsigned char)text[i])) i++;
        if (i < size) words++;
        while (i < size && !isspace((unsigned char)text[i])) i++;
    }
    return words;
}
""",
    "src/main.c": """\
#include <stdio.h>

#include "words.h"

int main(void) {
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t size = 0;
        while (line[size] != '\\0') size++;
        printf("%zu\\n", count_words(line, size));
    }
    return 0;
}
""",
    "test/words_test.c": """\
#include <stdio.h>

#include "words.h"

static int failures;

static void expect(const char *text, size_t size, size_t words) {
    size_t got = count_words(text, size);
    if (got != words) failures++;
    printf("%s: %zu words\\n", got == words ? "ok" : "FAIL", got);
    if (got != words) fprintf(stderr, "expected %zu\\n", words);
}

int main(void) {
    expect("", 0, 0);
    expect("one", 3, 1);
    expect("  two  words ", 13, 2);
    expect("a\\tb\\nc", 5, 3);
    return failures;
}
""",
    "test/expected": "2\n1\n",
}


def write(directory):
    directory = pathlib.Path(directory)
    for name, content in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return directory


def break_compilation(directory):
    source = pathlib.Path(directory) / "src" / "words.c"
    source.write_text(source.read_text().replace("size_t words = 0, i", "size_t words = 0, unused, i"))


def break_behaviour(directory):
    source = pathlib.Path(directory) / "src" / "words.c"
    source.write_text(source.read_text().replace("words++", "words += 2"))
