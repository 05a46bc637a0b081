/* The report as text, in columns that line up. */
#include "vm/text.h"
#include "runtime/mem.h"
#include "vm/inspect.h"

/* Three digits and a unit: "1.23 MB", "640 B", of amounts up to 10^15. */
static void amount(char text[32], double v, double step, const char *const *unit) {
    int k = 0;
    while (v >= (k || step > 1000 ? 999.5 : 1000) && k < 5) {
        v /= step;
        k++;
    }
    const char *form = k == 0      ? "%.0f%s"
                       : v < 9.995 ? "%.2f%s"
                       : v < 99.95 ? "%.1f%s"
                                   : "%.0f%s";
    td_text t = {0};
    td_text_put(&t, form, v, unit[k]);
    char *made = td_text_end(&t);
    for (int i = 0; i < 31 && (text[i] = made ? made[i] : 0) != 0; i++) text[i + 1] = 0;
    td_free(made);
}

static const char *bytes(char text[32], double v) {
    static const char *const unit[] = {" B", " KB", " MB", " GB", " TB", " PB"};
    amount(text, v, 1024, unit);
    return text;
}

static const char *count(char text[32], double v) {
    static const char *const unit[] = {" ", " k", " M", " G", " T", " P"};
    amount(text, v, 1000, unit);
    return text;
}

static void put_many(td_text *t, uint32_t n, const char *one) {
    td_text_put(t, "%u %s%s", n, one, n == 1 ? "" : "s");
}

static void put_outputs(td_text *t, const td_program *p) {
    char shape[TD_SHAPE_TEXT];
    for (uint32_t k = 0; k < p->output_count && k < 8; k++) {
        const td_meta *m = &p->value[p->output[k]].meta;
        td_text_put(t, "%s%s %s", k ? ", " : "", td_dtype_name(m->dtype),
                    td_shape_text(&m->shape, shape));
    }
    if (p->output_count > 8) td_text_put(t, ", and %u more", p->output_count - 8);
    if (p->output_count == 0) td_text_put(t, "none");
}

static void put_summary(td_text *t, const td_program *p, const td_report *r) {
    char a[32], b[32];
    td_text_put(t, "inputs    ");
    put_many(t, p->input_count, "tensor");
    td_text_put(t, ", %s", bytes(a, (double)r->input_bytes));
    if (r->assigned_count)
        td_text_put(t, "; %u changed in place, %s", r->assigned_count,
                    bytes(b, (double)r->assigned_bytes));
    td_text_put(t, "\noutputs   ");
    put_outputs(t, p);
    td_text_put(t, "\nwork      %sFLOP in ", count(a, r->flops));
    put_many(t, r->instr_count, "operation");
    if (r->steps) {
        td_text_put(t, ", run as ");
        put_many(t, r->steps, "step");
    }
    td_text_put(t, "\ntraffic   %s read, %s written\n", bytes(a, r->read_bytes),
                bytes(b, r->written_bytes));
    td_text_put(t, "memory    %s beside the inputs", bytes(a, (double)r->memory_bytes));
    if (r->const_bytes)
        td_text_put(t, ", %s of constants", bytes(a, (double)r->const_bytes));
    if (p->draws) {
        td_text_put(t, "\nrandom    ");
        put_many(t, p->draws, "stream");
        td_text_put(t, " a run");
    }
    td_text_put(t, "\n");
}

char *td_inspect_text(const td_program *p, const td_plan *plan) {
    td_report *r = td_inspect(p, plan, NULL);
    if (r == NULL) return NULL;
    td_text t = {0};
    char a[32], b[32], c[32];
    put_summary(&t, p, r);
    int width = 9;
    for (uint32_t i = 0; i < r->row_count; i++)
        for (int n = 0; r->row[i].op->name[n]; n++)
            if (n >= width) width = n + 1;
    if (r->row_count)
        td_text_put(&t, "\n%-*s  count      FLOP   share       read    written\n", width,
                    "operation");
    for (uint32_t i = 0; i < r->row_count; i++) {
        const td_report_row *row = &r->row[i];
        td_text_put(&t, "%-*s  %5u  %8s  %4.1f %%  %9s  %9s\n", width, row->op->name,
                    row->count, count(a, row->flops),
                    r->flops > 0 ? 100 * row->flops / r->flops : 0.0,
                    bytes(b, row->read_bytes), bytes(c, row->written_bytes));
    }
    td_report_free(&r);
    return td_text_end(&t);
}

char *td_inspect_figures(const td_program *p) {
    td_report *r = td_inspect(p, NULL, NULL);
    if (r == NULL) return NULL;
    td_text t = {0};
    char a[32], b[32], c[32];
    td_text_put(&t, "%sFLOP, %s read, %s written", count(a, r->flops),
                bytes(b, r->read_bytes), bytes(c, r->written_bytes));
    td_report_free(&r);
    return td_text_end(&t);
}
