/* Values: what a name in a script stands for. A value is a tensor here, an object at another place, or a
 * tensor whose contents are on their way; the tape's marks hang on it.
 *
 * One thread at a time works with the values of a Lua state; reference counts are plain. */
#ifndef TD_VAL_H
#define TD_VAL_H

#include "vm/op.h"

typedef struct td_place td_place;
typedef struct td_node td_node;
typedef struct td_val td_val;

/* ---- places: where operations go that do not run here (a worker, a tracer) ---- */

/* Counts the in-place changes of one storage at a place; shared by an object and its views. */
typedef struct td_version {
    int refs;
    uint32_t changes;
} td_version;

/* An object at a place. When its last reference goes the place is told. */
typedef struct td_obj {
    int refs;
    td_place *place;     /* counted */
    uint64_t id;         /* chosen here, unique in this process */
    size_t bytes;        /* what it holds there, for the collector's account */
    td_version *version; /* the tape compares it */
    bool keep;           /* do not free it there when the last reference goes */
    bool is_view;        /* made over another's storage, which may have gone since */
    bool gone;           /* fetched, moved away or freed: using it is an error */
    /* the place's own note: in which of its batches it is named, and as what */
    uint64_t noted_in, noted_at;
} td_obj;

/* A value on its way here. Filled in by its place. */
typedef struct td_coming {
    int refs;
    td_place *place; /* counted */
    uint64_t id;     /* the place's own key for it */
    /* counted; not asked for yet: the first look asks (and if none comes, the object
     * is freed there like any other) */
    td_obj *from;
    bool done;
    td_tensor *t; /* when done and well */
    td_err err;   /* when done and failed */
} td_coming;

/* An input of an operation at a place: an object there, or a plain number. */
typedef struct td_arg {
    td_obj *obj;  /* NULL: a number */
    td_meta meta; /* dtype already promoted */
    double f;     /* the number, for float dtypes */
    int64_t i;    /* the number, for integer dtypes */
} td_arg;

typedef struct td_place_ops {
    /* Records op; makes nout objects. attrs are complete, shapes checked, out_meta known. */
    int (*apply)(td_place *p, const td_op *op, const td_arg *in, int nin,
                 const td_attrs *attrs, const td_meta *out_meta, td_obj **out,
                 td_err *err);
    /* Sends a tensor there: for a gradient that is to be added to where its leaf lives now. */
    int (*put)(td_place *p, td_tensor *t, td_obj **out, td_err *err);
    /* The last reference of an object has gone. Must not fail or call back. */
    void (*drop)(td_place *p, td_obj *obj);
    /* Waits until c is done (well or failed). An error here means that waiting itself failed. */
    int (*wait)(td_place *p, td_coming *c, td_err *err);
    void (*destroy)(td_place *p);
} td_place_ops;

struct td_place {
    const td_place_ops *ops;
    int refs;
    char name[64];
};

td_place *td_place_ref(td_place *p);
void td_place_unref(td_place **p);

/* view_of: the object whose storage it shares, or NULL. NULL when memory is out. */
td_obj *td_obj_new(td_place *place, uint64_t id, size_t bytes, const td_obj *view_of);
td_obj *td_obj_ref(td_obj *o);
void td_obj_unref(td_obj **o);
uint64_t td_obj_fresh_id(void);

td_coming *td_coming_new(td_place *place, uint64_t id);
/* A value that is fetched from obj when somebody looks at it first. */
td_coming *td_coming_later(td_obj *obj);
td_coming *td_coming_ref(td_coming *c);
void td_coming_unref(td_coming **c);

/* Bytes that live objects hold at all places, objects alive, and both totals ever made: for the
 * collector's account. */
typedef struct td_away_account {
    size_t live_bytes, live_objects;
    uint64_t total_bytes, total_objects;
} td_away_account;
td_away_account td_away(void);

/* ---- values ---- */

struct td_val {
    int refs;
    td_meta meta;
    td_tensor *t;      /* here, or NULL */
    td_obj *obj;       /* at a place, or NULL */
    td_coming *coming; /* on its way here, or NULL */
    struct td_rows
        *rows; /* of a gradient of a few rows (rows.h), which is nothing of these */
    bool requires_grad; /* a leaf that wants a gradient, or the result of such */
    td_node *node;      /* who made it (counted), or NULL for a leaf */
    int node_out;       /* which output of node */
    td_node *leaf_node; /* a leaf's accumulator while the tape holds one; not counted */
    td_val *grad;       /* of a leaf, after backward */
    td_val *inner;      /* a pointer to a pointer: what it points at */
    uint64_t id; /* for objects: obj->id; for local values given out on first use */
    void *tag;   /* owned by the session layer (tags and description), freed by td_free */
};

/* Takes over the reference of t (also when it fails). weak: a plain number. */
td_val *td_val_new(td_tensor *t, td_err *err);
td_val *td_val_number(double v, td_err *err);   /* weak, f64 inside */
td_val *td_val_integer(int64_t v, td_err *err); /* weak, i64 inside */
/* A value at a place; takes over the reference of obj. */
td_val *td_val_away(td_obj *obj, const td_meta *meta, td_err *err);
/* A value on its way here; takes over the reference of c. */
td_val *td_val_coming(td_coming *c, const td_meta *meta, td_err *err);
td_val *td_val_ref(td_val *v);
void td_val_unref(td_val **v);

/* The tensor of a value that is here; waits if it is on its way. A gradient of rows becomes whole. Borrowed. NULL and LOCATION for a
 * pointer. `call` names the caller in the error. */
td_tensor *td_val_tensor(td_val *v, const char *call, td_err *err);
/* Where it lives, or NULL for here (also while it is on its way here). */
td_place *td_val_place(const td_val *v);
bool td_val_is_leaf(const td_val *v);

/* In place: the same value now lives elsewhere; its tape marks, gradient and identity stay. Each takes
 * over the reference. */
void td_val_become_away(td_val *v, td_obj *obj);
void td_val_become_coming(td_val *v, td_coming *c);
void td_val_become_here(td_val *v, td_tensor *t);

#endif
