/* Lines of a session, over libedit. Ctrl-C at the prompt is an ordinary key that drops the line: the terminal's
 * signal keys are off while a line is edited, so no signal can come between. */
#include "lua/line.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/host.h"
#include "runtime/mem.h"

#define HISTORY_MAX 2000

struct tdl_lines {
    lua_State *L;
    EditLine *edit; /* NULL: plain lines */
    History *history;
    char history_file[1024];
    const char *prompt;
    char *text; /* grown by getline; also holds the edited line */
    size_t room;
    bool cancelled;
};

/* ---- history ---- */

/* Makes the folders of a path, for their owner alone. */
static void make_folders(char *path) {
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
}

static bool find_history_file(char *path, size_t size) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (state && state[0] == '/')
        n = snprintf(path, size, "%s/tide/history", state);
    else if (home && home[0])
        n = snprintf(path, size, "%s/.local/state/tide/history", home);
    else
        return false;
    return n > 0 && (size_t)n < size;
}

static void history_open(tdl_lines *lines) {
    HistEvent ev;
    lines->history = history_init();
    if (lines->history == NULL) return;
    history(lines->history, &ev, H_SETSIZE, HISTORY_MAX);
    history(lines->history, &ev, H_SETUNIQUE, 1);
    el_set(lines->edit, EL_HIST, history, lines->history);
    char *path = lines->history_file;
    if (!find_history_file(path, sizeof lines->history_file)) {
        path[0] = 0;
        return;
    }
    make_folders(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        path[0] = 0; /* no history to keep: no reason to trouble the user */
        return;
    }
    fchmod(fd, 0600);
    close(fd);
    history(lines->history, &ev, H_LOAD, path);
    history(lines->history, &ev, H_SAVE, path); /* cut to size, with its first line */
}

/* Adds a line to the history and to its file at once: a crash loses nothing, and two sessions do not
 * overwrite each other. */
static void history_add(tdl_lines *lines, const char *text) {
    HistEvent ev;
    if (lines->history == NULL || text[strspn(text, " \t\n")] == 0) return;
    history(lines->history, &ev, H_ENTER, text);
    if (lines->history_file[0] == 0) return;
    FILE *f = fopen(lines->history_file, "ae");
    if (f == NULL) return;
    fseek(f, 0, SEEK_END);
    history(lines->history, &ev, H_NSAVE_FP, (size_t)1, f);
    fclose(f);
}

/* ---- keys ---- */

static tdl_lines *of(EditLine *edit) {
    void *lines = NULL;
    el_get(edit, EL_CLIENTDATA, &lines);
    return lines;
}

static char *prompt(EditLine *edit) { return (char *)(uintptr_t)of(edit)->prompt; }

static unsigned char on_cancel(EditLine *edit, int key) {
    (void)key;
    of(edit)->cancelled = true;
    fputs("^C\n", stdout);
    return CC_EOF;
}

static unsigned char on_suspend(EditLine *edit, int key) {
    (void)key;
    el_set(edit, EL_PREP_TERM, 0);
    raise(SIGTSTP);
    el_set(edit, EL_PREP_TERM, 1);
    return CC_REFRESH;
}

/* What the hook "complete" offers for the text before the cursor: a list, the count of letters that are there
 * already, and what all have in common. Called protected: nothing here may fail. [-1, +3, e] */
static int ask_completions(lua_State *L) {
    tdl_push_hook(L, "complete");
    lua_insert(L, 1);
    lua_call(L, 1, 3);
    return 3;
}

static void list_completions(lua_State *L, int list) { /* [-0, +0, m] */
    fputc('\n', stdout);
    tdl_push_hook(L, "columns");
    lua_pushvalue(L, list);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_isstring(L, -1))
        fputs(lua_tostring(L, -1), stdout);
    lua_pop(L, 1);
}

static unsigned char on_tab(EditLine *edit, int key) {
    (void)key;
    lua_State *L = of(edit)->L;
    const LineInfo *line = el_line(edit);
    size_t before = (size_t)(line->cursor - line->buffer);
    int top = lua_gettop(L);
    unsigned char result = CC_ERROR;
    lua_pushcfunction(L, ask_completions);
    lua_pushlstring(L, line->buffer, before);
    if (lua_pcall(L, 1, 3, 0) == LUA_OK && lua_istable(L, -3)) {
        const char *common = lua_tostring(L, -1);
        size_t have = (size_t)lua_tointeger(L, -2);
        if (common && strlen(common) > have) {
            el_insertstr(edit, common + have);
            result = CC_REFRESH;
        } else if (lua_rawlen(L, -3) > 1) {
            list_completions(L, lua_gettop(L) - 2);
            result = CC_REDISPLAY;
        }
    }
    lua_settop(L, top);
    return result;
}

/* ---- lines ---- */

static bool edit_open(tdl_lines *lines) {
    lines->edit = el_init("tide", stdin, stdout, stderr);
    if (lines->edit == NULL) return false;
    EditLine *e = lines->edit;
    el_set(e, EL_CLIENTDATA, lines);
    el_set(e, EL_PROMPT, prompt);
    el_set(e, EL_EDITOR, "emacs");
    el_set(e, EL_ADDFN, "tide-complete", "complete a name", on_tab);
    el_set(e, EL_ADDFN, "tide-cancel", "drop the line", on_cancel);
    el_set(e, EL_ADDFN, "tide-suspend", "stop the program", on_suspend);
    el_source(e, NULL); /* the user's own ~/.editrc */
    el_set(e, EL_BIND, "^I", "tide-complete", NULL);
    el_set(e, EL_BIND, "^C", "tide-cancel", NULL);
    el_set(e, EL_BIND, "^Z", "tide-suspend", NULL);
    el_set(e, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(e, EL_SETTY, "-d", "-isig", NULL);
    history_open(lines);
    return true;
}

tdl_lines *tdl_lines_open(lua_State *L, bool terminal) {
    tdl_lines *lines = td_new(tdl_lines);
    if (lines == NULL) return NULL;
    lines->L = L;
    if (terminal && !edit_open(lines)) tdl_lines_close(&lines);
    return lines;
}

/* Keeps a copy of the edited line without its end. */
static bool keep(tdl_lines *lines, const char *text, size_t n) {
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) n--;
    if (lines->room < n + 1) {
        char *bigger = td_grow_bytes(lines->text, n + 1);
        if (bigger == NULL) return false;
        lines->text = bigger;
        lines->room = n + 1;
    }
    memmove(lines->text, text, n); /* text may be lines->text itself */
    lines->text[n] = 0;
    return true;
}

static enum tdl_line read_edited(tdl_lines *lines, const char *with_prompt) {
    int n = 0;
    lines->prompt = with_prompt;
    lines->cancelled = false;
    errno = 0;
    el_set(lines->edit, EL_PREP_TERM, 1); /* before the prompt invites keys, not after */
    const char *text = el_gets(lines->edit, &n);
    if (lines->cancelled || (n < 0 && errno == EINTR)) return TDL_LINE_CANCELLED;
    if (text == NULL || n <= 0 || !keep(lines, text, (size_t)n)) return TDL_LINE_END;
    history_add(lines, lines->text);
    return TDL_LINE_TEXT;
}

static enum tdl_line read_plain(tdl_lines *lines) {
    char piece[4096];
    size_t used = 0;
    while (fgets(piece, sizeof piece, stdin)) {
        size_t n = strlen(piece);
        if (lines->room < used + n + 1) {
            char *bigger = td_grow_bytes(lines->text, 2 * (used + n + 1));
            if (bigger == NULL) return TDL_LINE_END;
            lines->text = bigger;
            lines->room = 2 * (used + n + 1);
        }
        memcpy(lines->text + used, piece, n + 1);
        used += n;
        if (n > 0 && piece[n - 1] == '\n') break;
    }
    if (used == 0) return TDL_LINE_END;
    keep(lines, lines->text, used);
    return TDL_LINE_TEXT;
}

enum tdl_line tdl_lines_read(tdl_lines *lines, const char *with_prompt) {
    return lines->edit ? read_edited(lines, with_prompt) : read_plain(lines);
}

const char *tdl_lines_text(const tdl_lines *lines) { return lines->text; }

void tdl_lines_close(tdl_lines **lp) {
    tdl_lines *lines = *lp;
    *lp = NULL;
    if (lines == NULL) return;
    if (lines->edit) el_end(lines->edit);
    if (lines->history) history_end(lines->history);
    td_free(lines->text);
    td_free(lines);
}
