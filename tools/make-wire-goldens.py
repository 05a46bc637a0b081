#!/usr/bin/env python3
"""Makes the golden messages of tests/wire/, from docs/wire.md alone: an encoder that shares nothing with the
program's. Run it from the top folder; it overwrites what is there. A golden message that is committed is never
changed: later versions must still read it. New ones get new names.

A file is a comment line (#) that says what it is, then the message's octets in hex, 32 a line. The fuzzers of the wire
begin with the same messages, in the form that each of them takes: tests/fuzz/corpus/.
"""
import hashlib
import os
import struct

FOLDER = "tests/wire"
CORPUS = "tests/fuzz/corpus"
SESSION = bytes(range(0x10, 0x20))
DTYPES = {"f64": 1, "f32": 2, "f16": 3, "bf16": 4, "i64": 5, "i32": 6, "u8": 7, "bool": 8}
CODES = {"index": 4, "gone": 12, "not-found": 11, "shape": 2, "denied": 14, "state": 6}
MARK = 77  # of the host that answers
HELLO, WELCOME, DATA, ACK, PING, PONG, BYE, ERROR = range(1, 9)
BATCH, REPLY, TEXT = 1, 2, 3


# ---- frames ----

def number(v):
    if v < 128:
        return bytes([v])
    return b"\xce" + struct.pack(">I", v) if v < 1 << 32 else b"\xcf" + struct.pack(">Q", v)


def string(s):
    b = s.encode()
    if len(b) < 32:
        return bytes([0xA0 + len(b)]) + b
    return (b"\xd9" + bytes([len(b)]) if len(b) < 256 else b"\xda" + struct.pack(">H", len(b))) + b


ORDER = "vtsonarfkzhwecmib"  # the table's


def frame(type, payload=b"", **keys):
    entries = {"v": number(1), "t": number(type), "s": b"\xc4\x10" + SESSION}
    if payload:
        keys["b"] = len(payload)
    for key, value in keys.items():
        entries[key] = (b"\xc3" if value is True else string(value) if isinstance(value, str)
                        else number(value))
    m = b"\xde" + struct.pack(">H", len(entries))
    for key in ORDER:
        if key in entries:
            m += b"\xa1" + key.encode() + entries[key]
    return m + b"\xc0" * (-len(m) % 8) + payload


def letter(kind, head, bulk=b"", n=1, a=1, **host):
    """A letter that is one frame."""
    return frame(DATA, head + bulk, n=n, a=a, k=kind, z=len(head) + len(bulk), h=len(head), **host)


# ---- inside letters ----

def uint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def sint(v):
    return uint(2 * v if v >= 0 else -2 * v - 1)


def f64(v):
    return struct.pack("<d", v)


def text(s):
    return uint(len(s.encode())) + s.encode()


def shape(*sizes):
    return bytes([len(sizes)]) + b"".join(map(uint, sizes))


def tags(*names, about=""):
    return bytes([len(names)]) + b"".join(map(text, names)) + text(about)


def ints(*v):
    return bytes([len(v)]) + b"".join(map(sint, v))


def put(id, dtype, sizes, t=None):
    return b"\x02" + uint(id) + bytes([DTYPES[dtype]]) + shape(*sizes) + (t or tags())


def op(name, *rest):
    """name: a text the first time, then a number."""
    return b"\x01" + (b"\0" + text(name) if isinstance(name, str) else uint(name)) + b"".join(rest)


def num(dtype, v):
    return b"\0" + bytes([DTYPES[dtype]]) + (f64(v) if dtype[0] in "fb" and dtype != "bool" else sint(v))


def free(id):
    return b"\x03" + uint(id)


def get(key, id, drop=False):
    return b"\x04" + uint(key) + uint(id) + bytes([drop])


def error(code, call, message, hint=""):
    return bytes([CODES[code]]) + text(call) + text(message) + text(hint)


def failure(batch, record, *err):
    return uint(batch) + uint(record) + error(*err)


def reply(batch, failures=(), answers=(), refusal=None):
    return (uint(batch) + (b"\x01" + refusal if refusal else b"\0") + uint(len(failures)) +
            b"".join(failures) + uint(len(answers)) + b"".join(answers))


def told(key, value):
    return uint(key) + b"\x01" + value


def failed(key, f):
    return uint(key) + b"\0" + f


def tensor(dtype, *sizes):
    return bytes([DTYPES[dtype]]) + shape(*sizes)


def about(id, dtype, sizes, t, dataset=""):
    return uint(id) + tensor(dtype, *sizes) + t + text(dataset)


def listed(*entries):
    return uint(len(entries)) + b"".join(entries)


def f32s(*v):
    return struct.pack("<%df" % len(v), *v)


def i64s(*v):
    return struct.pack("<%dq" % len(v), *v)


# ---- the messages ----

def seed(fuzzer, name, octets):
    os.makedirs(os.path.join(CORPUS, fuzzer), exist_ok=True)
    with open(os.path.join(CORPUS, fuzzer, name), "wb") as f:
        f.write(octets)


def short(n):
    return struct.pack("<H", n)


def row(*messages):
    return b"".join(short(len(m)) + m for m in messages)


def keep(name, what, octets):
    with open(os.path.join(FOLDER, name + ".hex"), "w") as f:
        f.write("# %s\n" % what)
        for at in range(0, len(octets), 32):
            f.write(octets[at:at + 32].hex() + "\n")


def save(name, what, message):
    keep(name, what, message)
    seed("frame", name, message)


def frames():
    save("hello-new", "HELLO of a client that knows no host", frame(HELLO, a=1))
    save("hello-resume", "HELLO with the mark of a host, and the number wanted next",
         frame(HELLO, o=0x1122334455667788, a=300))
    save("welcome-new", "WELCOME: nothing was resumed; letters of up to 2 GiB",
         frame(WELCOME, o=0x1122334455667788, a=1, f=True, z=2 << 30, w="bob"))
    save("welcome-resumed", "WELCOME: the link goes on", frame(WELCOME, o=77, a=129, z=1 << 20, w="bob"))
    save("data-first", "DATA: the first piece of a letter in two",
         frame(DATA, b"abcdefgh", n=5, a=9, k=BATCH, z=20, h=11))
    save("data-next", "DATA: a piece that begins no letter", frame(DATA, b"ijk", o=77, n=6, a=9))
    save("data-empty", "DATA: a letter of no octets", frame(DATA, n=70000, a=128, k=REPLY, z=0, h=0))
    save("ack", "ACK", frame(ACK, o=77, a=127))
    save("ack-resend", "ACK that asks for what is missing", frame(ACK, a=1 << 40, r=True))
    save("ping", "PING", frame(PING, n=42))
    save("pong", "PONG", frame(PONG, n=42))
    save("bye", "BYE", frame(BYE))
    save("error-gone", "ERROR: the session's process has ended",
         frame(ERROR, e=CODES["gone"], m="the session's process was killed by signal 9"))
    save("error-long", "ERROR with a call, a message of more than 255 octets and a hint of more than 31",
         frame(ERROR, e=CODES["index"], c="select", m="m" * 300, i="h" * 40))


def exchange(name, what, number, records, bulk, answer, answer_bulk=b""):
    """A batch, and what a worker bob answers who has the data sets that docs of the test describe."""
    head = uint(number) + b"".join(records)
    save(name + "-batch", "a batch: " + what, letter(BATCH, head, bulk))
    seed("batch", name, short(len(bulk)) + head + bulk)
    mark = b"fuzz".ljust(16, b"\0")  # the session of that fuzzer
    seed("link", name, row(*(m.replace(SESSION, mark) for m in (
        frame(HELLO, a=1), letter(BATCH, head, bulk), frame(PING, n=1), frame(ACK, a=2)))))
    save(name + "-reply", "the reply to %s-batch" % name, letter(REPLY, answer, answer_bulk, a=2, o=MARK))


def exchanges():
    exchange("values", "PUT, OP in all its forms, GET, FREE", 1,
             [put(10, "f32", (2, 3), tags("#a", "#b", about="six")),
              put(11, "i64", ()), put(12, "bool", (2,)), put(300, "f32", (0, 4)),
              op("add", uint(10), num("f32", 0.5), uint(20)),
              op("neg", uint(20), uint(21)),
              op(1, uint(20), uint(21), uint(22)),              # add again, by its number
              op("sum", uint(20), ints(1), sint(1), uint(23)),  # dims {1}, keepdim
              op("cat", uint(2), uint(10), uint(20), sint(0), uint(24)),
              op("full", ints(2), f64(7), sint(DTYPES["i32"]), uint(25)),
              op("max_dim", uint(10), sint(1), sint(0), uint(26)),  # two results: 26 and 27
              op("assign", uint(11), num("i64", -3)),
              get(1, 20), get(2, 22, True), get(3, 23), get(4, 24), get(5, 25), get(6, 26), get(7, 27),
              get(8, 11), get(9, 12), get(1000, 300), free(10), free(10)],
             f32s(1, 2, 3, 4, 5, 6) + i64s(5) + b"\x01\x00",
             reply(1, [], [told(1, tensor("f32", 2, 3)), told(2, tensor("f32", 2, 3)), told(3, tensor("f32", 2, 1)),
                           told(4, tensor("f32", 4, 3)), told(5, tensor("i32", 2)), told(6, tensor("f32", 2)),
                           told(7, tensor("i64", 2)), told(8, tensor("i64")), told(9, tensor("bool", 2)),
                           told(1000, tensor("f32", 0, 4))]),
             f32s(1.5, 2.5, 3.5, 4.5, 5.5, 6.5) + f32s(0, 0, 0, 0, 0, 0) + f32s(7.5, 16.5) +
             f32s(1, 2, 3, 4, 5, 6, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5) + struct.pack("<2i", 7, 7) + f32s(3, 6) +
             i64s(3, 3) + i64s(-3) + b"\x01\x00")

    out_of_range = ("index", "index_select", "position 9 of dimension 1, which has 3")
    not_there = ("not-found", "neg", "object 99 is not at bob", "it may have been fetched by get(), or cleared")
    not_got = ("not-found", "get", "object 98 is not at bob", "it may have been fetched by get(), or cleared")
    exchange("failures", "records that fail, what hangs on them, and what does not", 2,
             [put(10, "f32", (3,)), put(11, "i64", (1,)),
              op("index_select", uint(10), uint(11), sint(0), uint(20)),
              op("neg", uint(20), uint(21)),
              op(2, uint(99), uint(22)),
              op(2, uint(10), uint(23)),
              get(1, 20), get(2, 21), get(3, 22), get(4, 23), get(5, 98)],
             f32s(1, 2, 3) + i64s(9),
             reply(2, [failure(2, 2, *out_of_range), failure(2, 4, *not_there), failure(2, 10, *not_got)],
                   [failed(1, failure(2, 2, *out_of_range)), failed(2, failure(2, 2, *out_of_range)),
                    failed(3, failure(2, 4, *not_there)), told(4, tensor("f32", 3)),
                    failed(5, failure(2, 10, *not_got))]),
             f32s(-1, -2, -3))

    exchange("refused", "shapes that do not go together refuse all of it", 3,
             [put(10, "f32", (2,)), put(11, "f32", (3,)), get(1, 10), op("add", uint(10), uint(11), uint(12))],
             f32s(1, 2, 3, 4, 5),
             reply(3, refusal=error("shape", "add", "2 does not broadcast with 3")))

    rows = about(20, "f32", (2, 2), tags("#rows", "#small", about="four numbers"), "open")
    labels = about(21, "i64", (2,), tags("#rows", "#small", about="four numbers"), "open")
    denied = ("denied", "dataset", "the policy of 'closed' at bob lets no pointer touch its rows",
              "its owner lets approved plans run on it, not single operations")
    exchange("lists", "TAG, OBJECTS, SEARCH, DATASET, CLEAR", 4,
             [put(10, "u8", (1,), tags("#small")), put(11, "f64", (1,)),
              b"\x05" + uint(11) + tags("#small", "#x", about="a number"),
              b"\x07" + uint(1),
              b"\x08" + uint(2) + tags("#small"),
              b"\x08" + uint(3) + tags("#small", "#x"),
              b"\x09" + uint(4) + text("open") + uint(20) + uint(21),
              b"\x09" + uint(5) + text("closed") + uint(22) + uint(23),
              b"\x09" + uint(6) + text("none") + uint(24) + uint(25),
              get(7, 20), b"\x06", b"\x07" + uint(8)],
             b"\x05" + f64(2),
             reply(4, [], [
                 told(1, listed(about(10, "u8", (1,), tags("#small")),
                                about(11, "f64", (1,), tags("#small", "#x", about="a number")))),
                 told(2, listed(about(10, "u8", (1,), tags("#small")),
                                about(11, "f64", (1,), tags("#small", "#x", about="a number")),
                                about(0, "f32", (2, 2), tags("#rows", "#small", about="four numbers"), "open"))),
                 told(3, listed(about(11, "f64", (1,), tags("#small", "#x", about="a number")))),
                 told(4, listed(rows, labels)),
                 failed(5, failure(4, 7, *denied)),
                 failed(6, failure(4, 8, "not-found", "dataset", "bob has no data set 'none'")),
                 told(7, tensor("f32", 2, 2)),
                 told(8, listed())]),
             f32s(1, 2, 3, 4))


def texts():
    """The batch of "values" again, in part: its text is brought, then named with other bindings."""
    name = "values-as-text"
    record = [b"\x02" + tensor("f32", 2, 3) + tags("#a"),               # place 1
              b"\x01\0" + text("add") + uint(1) + b"\0\2" + uint(1),   # place 2; number 1
              b"\x01\0" + text("sum") + uint(2) + ints(1) + sint(1),   # place 3
              b"\x01\0" + text("max_dim") + uint(1) + sint(1) + sint(0),  # places 4 and 5
              b"\x01" + uint(1) + uint(6) + b"\0\2" + uint(1),         # place 6 is bound from before, 7 the result
              b"\x04" + uint(3) + b"\x01",                            # key: place 8
              b"\x04" + uint(5) + b"\0", b"\x04" + uint(7) + b"\0"]
    body = b"".join(record)
    bound = [(bindings([(10, 1), (20, 4), (5, 1), (24, 1), (100, 3)], f64(0.5), [(1, [77, 76]), (5, [10])]),
              f32s(1, 2, 3, 4, 5, 6), (f32s(7.5, 16.5), i64s(3, 3), f32s(4.5))),
             (bindings([(30, 1), (50, 4), (24, 1), (60, 1), (200, 3)], f64(-1), [(8, [30])]),
              f32s(6, 5, 4, 3, 2, 1), (f32s(12, 3), i64s(1, 1), f32s(3.5)))]
    send = [letter(BATCH, uint(1) + put(5, "f32", ()), f32s(4), n=1)]
    for k, (b, bulk, values) in enumerate(bound):
        head = uint(2 + k) + (b"\x01" + hashlib.blake2b(body, digest_size=32).digest() if k else
                              b"\0" + uint(len(body)) + body) + b
        send.append(letter(TEXT, head, bulk, n=2 + k))
        save("%s-%d-batch" % (name, k + 1), "a batch: its text %s" % ("named" if k else "brought"), send[-1])
        key = 200 if k else 100
        answer = [told(key, tensor("f32", 2, 1)), told(key + 1, tensor("i64", 2)), told(key + 2, tensor("f32"))]
        save("%s-%d-reply" % (name, k + 1), "the reply to %s-%d-batch" % (name, k + 1),
             letter(REPLY, reply(2 + k, [], answer), b"".join(values), n=2 + k, a=3 + k, o=MARK))
        seed("text", "%s-%d" % (name, k + 1), short(len(bulk)) + head + bulk)
    save(name + "-0-batch", "a batch that makes what the next two use", send[0])
    mark = b"fuzz".ljust(16, b"\0")
    seed("link", name, row(*(m.replace(SESSION, mark) for m in [frame(HELLO, a=1)] + send)))


def bindings(runs, numbers, frees):
    """runs: (first id, how many); frees: (after how many records, ids)."""
    ids, last = b"", 0
    for first, count in runs:
        ids += sint(first - last) + uint(count)
        last = first
    free, last = b"", 0
    for after, some in frees:
        free += uint(after) + uint(len(some))
        for id in some:
            free += sint(id - last)
            last = id
    return uint(len(ids)) + ids + uint(len(numbers)) + numbers + free


def replies():
    """For the fuzzer of replies: F0 to F2 are its keys, F3 the batch's number."""
    a, b, c, n = (bytes([k]) for k in (0xF0, 0xF1, 0xF2, 0xF3))
    six, entry = tensor("f32", 2, 3), about(5, "f32", (2, 3), tags("#a"))
    fault = n + b"\0" + error("gone", "", "bob is gone")
    for name, head, bulk in (
            ("well", n + b"\0\0\x03" + a + b"\1" + six + b + b"\1" + six + c + b"\1" + listed(entry), f32s(*range(12))),
            ("fails", n + b"\0\1" + fault + b"\x03" + a + b"\0" + fault + b + b"\0" + fault + c + b"\0" + fault, b""),
            ("refused", n + b"\1" + error("shape", "add", "no") + b"\0\0", b""),
            ("some", n + b"\0\0\1" + b + b"\1" + tensor("bool", 2), b"\1\2")):
        seed("reply", name, short(len(head)) + short(len(bulk)) + head + bulk)


# ---- programs ----

def instr(name, *rest):
    """name: a text the first time, then a number."""
    return (b"\0" + text(name) if isinstance(name, str) else uint(name)) + b"".join(rest)


def program(inputs, constants, operations, outputs, draws=0, fixed=False):
    def counted(list):
        return uint(len(list)) + b"".join(list)
    return (b"TDPR" + bytes([1, fixed]) + uint(draws) + counted(inputs) + counted(constants) +
            counted(operations) + counted([uint(v) for v in outputs]))


def keep_program(name, what, octets):
    """Its hash stands in the comment; the fuzzer begins with it."""
    digest = hashlib.blake2b(octets, digest_size=32).hexdigest()
    keep("program-" + name, "%s; BLAKE2b-256 %s" % (what, digest), octets)
    seed("program", name, octets)


def programs():
    dims = sint(0) + sint(1)
    keep_program("step", "a program with an operation of every form", program(
        [tensor("f32", 2, 3), tensor("f32", 4, 3)],
        [tensor("i64", 2) + i64s(7, -1), tensor("f32") + f32s(0.5)],
        [instr("transpose", uint(1), dims),                         # 4
         instr("matmul", uint(0), uint(4)),                         # 5
         instr("leaky_relu", uint(5), f64(0.25)),                   # 6
         instr("max_dim", uint(6), sint(1), sint(0)),               # 7, 8
         instr("cat", uint(2), uint(8), uint(2), sint(0)),          # 9
         instr("randn", ints(4, 3), sint(0), sint(1), sint(DTYPES["f32"])),  # 10
         instr("mul", uint(10), uint(3)),                           # 11
         instr("assign", uint(1), uint(11)),
         instr("sum", uint(6), ints(0), sint(1)),                   # 12
         instr(7, uint(12), uint(12))],                             # 13: mul again, by its number
        [7, 9, 12, 13, 2], draws=3))
    keep_program("fixed", "seeds and streams as they are written", program(
        [], [], [instr("rand", ints(2), sint(-5), sint(1 << 40), sint(DTYPES["f64"]))], [0], fixed=True))
    keep_program("nothing", "no operation: an input and a constant are given back", program(
        [tensor("bool", 0, 2)], [tensor("u8", 1, 2) + b"\x05\x06"], [], [0, 1, 0]))


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    frames()
    exchanges()
    texts()
    replies()
    programs()
