#!/usr/bin/env python3
"""Makes tests/data/ and the seeds in tests/fuzz/corpus/: files as NumPy and other programs write them.

Run by hand in the top folder, with python3-numpy, when a fixture changes; what it makes is committed, and
tests need no Python. The same input gives the same bytes (zip members carry a fixed date).
"""
import gzip
import io
import json
import os
import struct
import zipfile

import numpy as np

DATA = "tests/data"
CORPUS = "tests/fuzz/corpus"


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def npy(a, version=None):
    f = io.BytesIO()
    np.lib.format.write_array(f, a, version=version, allow_pickle=True)
    return f.getvalue()


def npz(members, method=zipfile.ZIP_STORED, names=None):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", method) as z:
        for name, a in members:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = method
            with z.open(info, "w", force_zip64=True) as m:  # as numpy.savez does
                m.write(a if isinstance(a, bytes) else npy(a))
    return f.getvalue()


def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def idx(kind, shape, data):
    return bytes([0, 0, kind, len(shape)]) + struct.pack(">%dI" % len(shape), *shape) + data


def main():
    grid = np.arange(24).reshape(2, 3, 4)
    arrays = {
        "f4": (grid / 4).astype("<f4"),
        "f4-big": (grid / 4).astype(">f4"),
        "f8-fortran": np.asfortranarray(grid / 8),
        "f2": np.array([0.5, -2, 65504], "<f2"),
        "i1": np.array([-128, 0, 127], "i1"),
        "i2-big": np.array([-32768, 1, 32767], ">i2"),
        "u2": np.array([0, 1, 65535], "<u2"),
        "u4": np.array([0, 4294967295], "<u4"),
        "u8": np.array([0, 2**63 - 1], "<u8"),
        "u8-large": np.array([0, 2**63], "<u8"),
        "i8": np.array([-(2**63), 2**63 - 1], "<i8"),
        "bool": np.array([[True, False], [False, True]]),
        "scalar": np.array(2.5),
        "empty": np.zeros((3, 0, 2), "f4"),
        "object": np.array([None, "x"], dtype=object),
        "records": np.zeros(2, dtype=[("a", "i4"), ("b", "f4")]),
        "text": np.array(["ab", "c"]),
        "complex": np.zeros(2, "c8"),
    }
    for name, a in arrays.items():
        write(f"{DATA}/{name}.npy", npy(a))
        if a.dtype.kind in "fiub":
            write(f"{CORPUS}/npy/{name}", npy(a))
    write(f"{DATA}/v2.npy", npy(arrays["f4"], (2, 0)))
    write(f"{DATA}/v3.npy", npy(arrays["f4"], (3, 0)))
    write(f"{CORPUS}/npy/v2", npy(arrays["f4"], (2, 0)))

    members = [("x.npy", arrays["f4"]), ("../../y.npy", arrays["i8"])]
    write(f"{DATA}/stored.npz", npz(members))
    write(f"{DATA}/deflated.npz", npz(members, zipfile.ZIP_DEFLATED))
    zeros = npz([("zeros.npy", np.zeros(250000, "f4"))], zipfile.ZIP_DEFLATED)
    write(f"{DATA}/zeros.npz", zeros)
    write(f"{DATA}/stranger.npz", npz([("readme.txt", b"hello")]))
    write(f"{DATA}/bzip2.npz", npz(members, zipfile.ZIP_BZIP2))
    write(f"{CORPUS}/npz/stored", npz(members))
    write(f"{CORPUS}/npz/deflated", npz(members, zipfile.ZIP_DEFLATED))
    write(f"{CORPUS}/npz/none", npz([]))

    write(f"{CORPUS}/idx/u8", idx(8, (2, 3), bytes(range(6))))
    write(f"{CORPUS}/idx/i16", idx(11, (2,), struct.pack(">2h", -1, 7)))
    write(f"{CORPUS}/idx/f64", idx(14, (1, 1), struct.pack(">d", 2.5)))
    write(f"{CORPUS}/idx/gzipped", gzip.compress(idx(8, (4,), b"abcd"), mtime=0))
    write(f"{DATA}/bomb.gz", gzip.compress(bytes(4000000), mtime=0))

    st = safetensors(
        {
            "__metadata__": {"format": "pt", "note": "gr\u00fc\u00df \u2713 \U0001f600"},
            "fc.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
            "fc.bias": {"dtype": "BF16", "shape": [2], "data_offsets": [16, 20]},
            "step": {"dtype": "I64", "shape": [], "data_offsets": [20, 28]},
            "small": {"dtype": "I8", "shape": [3], "data_offsets": [28, 31]},
            "none": {"dtype": "U8", "shape": [0, 5], "data_offsets": [31, 31]},
        },
        struct.pack("<4f2HqBBB", 1, 2, 3, 4, 0x3F80, 0xC000, 77, 0xFF, 0, 5),
    )
    write(f"{DATA}/model.safetensors", st)
    write(f"{CORPUS}/safetensors/model", st)
    write(f"{CORPUS}/safetensors/empty", safetensors({}, b""))
    write(f"{CORPUS}/safetensors/escapes", safetensors(
        b' {"a\\u00e9\\n\\ud83d\\ude00" : {"shape":[1] ,"dtype":"U16","data_offsets":[0,2]} } ', b"\1\2"))

    texts = {
        "header": b"age,name,score\n34,Ann,1.5\n,Bob,NA\n51,\"Smith, \"\"Jo\"\"\",-2e3\n",
        "plain": b"1,2,3\n4,5,6\n",
        "semicolon": b"\xef\xbb\xbfa;b\r\n1;x\r\n2;y\r\n",
        "tab": b"a\tb\n1\t\n2\t99999999999999999999\n",
        "options": b"\xb9a|b\n1|2\n",
        "lines": b"\"a\nb\",c\n1,2\n",
    }
    for name, text in texts.items():
        write(f"{CORPUS}/csv/{name}", text)
    write(f"{DATA}/people.csv", texts["header"])


main()
