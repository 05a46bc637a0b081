/* Writes a C file with the contents of the files named on the command line, as the table that
 * lua/embedded.h declares. Run by the Makefile; no part of the program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fail(const char *name) {
    fprintf(stderr, "embed: %s: %s\n", name, strerror(errno));
    exit(1);
}

/* One file as an array of bytes, with a zero behind it; returns its size. */
static size_t embed(const char *name, int at) {
    FILE *f = fopen(name, "rb");
    if (f == NULL) fail(name);
    printf("/* %s */\nstatic const unsigned char file_%d[] = {", name, at);
    size_t size = 0;
    for (int c; (c = getc(f)) != EOF; size++)
        printf("%s%d,", size % 24 == 0 ? "\n" : "", c);
    if (ferror(f) != 0) fail(name);
    fclose(f);
    printf("\n0};\n");
    return size;
}

int main(int argc, char **argv) {
    int count = argc - 1;
    char **names = argv + 1;
    size_t *sizes = calloc((size_t)count + 1, sizeof *sizes);
    if (sizes == NULL) fail("memory");
    qsort(names, (size_t)count, sizeof *names, by_name);
    printf("/* Made by tools/embed.c: do not edit. */\n#include \"lua/embedded.h\"\n\n");
    for (int i = 0; i < count; i++) sizes[i] = embed(names[i], i);
    printf("\nconst struct td_embedded td_embedded_files[] = {\n");
    for (int i = 0; i < count; i++)
        printf("    {\"%s\", file_%d, %zu},\n", names[i], i, sizes[i]);
    printf("    {0, 0, 0},\n};\n");
    free(sizes);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) fail("output");
    return 0;
}
