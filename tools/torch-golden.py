#!/usr/bin/python3
"""Writes the figures that tests/lua/test_golden_*.lua compare with: PyTorch's, in double precision.

    /usr/bin/python3 tools/torch-golden.py        (Debian's python3-torch; run by hand)

Weights and inputs come from a formula in whole numbers that both sides compute alike (`even` here,
golden.even in tests/golden/common.lua), so nothing but the figures is kept. A tensor is kept as a
digest: element count, sum, sum of magnitudes, and eight elements spread over it.
"""
import json
import os
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

OUT = os.path.join(os.path.dirname(__file__), "..", "tests", "golden")
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def even(shape, seed):
    """Numbers in [-1, 1) that look random."""
    n = int(np.prod(shape, dtype=np.int64))
    i = np.arange(n, dtype=np.int64)
    k = (i * 7919 + i * i % 10007 * 31 + seed * 104729) % 10007
    return torch.from_numpy(k / 10007 * 2 - 1).reshape(shape)


def labels(n, classes):
    return torch.arange(n) * 7 % classes


def digest(t):
    v = t.detach().double().reshape(-1)
    n = v.numel()
    at = [v[k * (n - 1) // 7].item() for k in range(8)] if n else []
    return {"n": n, "sum": v.sum().item(), "abs": v.abs().sum().item(), "at": at}


def fill(module):
    """Sets all parameters: matrices by their fan-in, vectors small, scales of norms near 1."""
    for seed, (name, p) in enumerate(module.named_parameters(), 1):
        u = even(p.shape, seed)
        if p.dim() > 1:
            u = u / (p.numel() / p.shape[0]) ** 0.5
        else:
            u = 1 + 0.1 * u if name.endswith("weight") else 0.1 * u
        with torch.no_grad():
            p.copy_(u)
    return module


def lua(value, indent=""):
    if isinstance(value, dict):
        inner = indent + "  "
        rows = ["%s[%s] = %s,\n" % (inner, json.dumps(k), lua(v, inner)) for k, v in value.items()]
        return "{\n" + "".join(rows) + indent + "}"
    if isinstance(value, (list, tuple)):
        if all(isinstance(v, (int, float, str)) for v in value) and len(value) > 3:
            inner = indent + "  "
            rows = [", ".join(lua(v) for v in value[i:i + 3]) for i in range(0, len(value), 3)]
            return "{\n" + "".join(inner + r + ",\n" for r in rows) + indent + "}"
        return "{" + ", ".join(lua(v, indent) for v in value) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "%.17g" % value
    return json.dumps(value)


def write(name, what, value):
    with open(os.path.join(OUT, name + ".lua"), "w") as f:
        f.write("-- %s\n-- Written by tools/torch-golden.py with PyTorch %s.\nreturn %s\n"
                % (what, torch.__version__, lua(value)))


# ---- one training step of three models ---------------------------------------------------------------


def mlp():
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10), nn.LogSoftmax(1))


def cnn(a, b, padding, features, hidden):
    return nn.Sequential(
        nn.Conv2d(1, a, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(a, b, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 10), nn.LogSoftmax(1))


def training_step(model, x):
    fill(model)
    y = labels(len(x), 10)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = F.nll_loss(model(x), y)
    loss.backward()
    gradients = {name: digest(p.grad) for name, p in model.named_parameters()}
    opt.step()
    return {"loss": loss.item(), "gradients": gradients,
            "parameters": {name: digest(p) for name, p in model.named_parameters()},
            "loss_after": F.nll_loss(model(x), y).item()}


def models():
    return {
        "mlp": training_step(mlp(), even((64, 784), 1000)),
        "tutorial_cnn": training_step(cnn(20, 50, 0, 800, 500), even((16, 1, 28, 28), 1000)),
        "fedavg_cnn": training_step(cnn(32, 64, 2, 3136, 512), even((4, 1, 28, 28), 1000)),
    }


# ---- each module, forward and backward ----------------------------------------------------------------


def run_module(module, x, train=True):
    fill(module).train(train)
    x = x.clone()
    if x.is_floating_point():
        x.requires_grad_()
    y = module(x)
    (y * even(y.shape, 77)).sum().backward()
    figures = {"shape": list(y.shape), "output": digest(y),
               "gradients": {name: digest(p.grad) for name, p in module.named_parameters()},
               "buffers": {name: digest(b) for name, b in module.named_buffers()}}
    if x.grad is not None:
        figures["input_gradient"] = digest(x.grad)
    return figures


def modules():
    vector, image = even((6, 10), 1000), even((2, 4, 9, 8), 1000)
    ids = torch.arange(12).reshape(3, 4) * 5 % 7
    trained = fill(nn.BatchNorm2d(4))
    trained(image)
    return {
        "linear": run_module(nn.Linear(10, 3), vector),
        "linear_no_bias": run_module(nn.Linear(10, 3, bias=False), vector),
        "linear_3d": run_module(nn.Linear(8, 5), image),
        "conv2d": run_module(nn.Conv2d(4, 6, 3), image),
        "conv2d_strided": run_module(nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 2)), image),
        "conv2d_dilated": run_module(nn.Conv2d(4, 6, 3, dilation=(2, 1), bias=False), image),
        "conv2d_grouped": run_module(nn.Conv2d(4, 6, 3, padding=1, groups=2), image),
        "conv2d_depthwise": run_module(nn.Conv2d(4, 8, 3, groups=4, stride=(1, 3)), image),
        "max_pool2d": run_module(nn.MaxPool2d(2), image),
        "max_pool2d_overlapping": run_module(nn.MaxPool2d(3, stride=(2, 1), padding=1), image),
        "avg_pool2d": run_module(nn.AvgPool2d(2), image),
        "avg_pool2d_padded": run_module(nn.AvgPool2d(3, stride=2, padding=1), image),
        "avg_pool2d_inner": run_module(nn.AvgPool2d(3, 2, 1, count_include_pad=False), image),
        "flatten": run_module(nn.Flatten(), image),
        "relu": run_module(nn.ReLU(), vector),
        "leaky_relu": run_module(nn.LeakyReLU(0.2), vector),
        "gelu": run_module(nn.GELU(), vector),
        "gelu_tanh": run_module(nn.GELU(approximate="tanh"), vector),
        "tanh": run_module(nn.Tanh(), vector),
        "sigmoid": run_module(nn.Sigmoid(), vector),
        "softmax": run_module(nn.Softmax(-1), vector),
        "softmax_channels": run_module(nn.Softmax(1), image),
        "log_softmax": run_module(nn.LogSoftmax(-1), vector),
        "batch_norm1d": run_module(nn.BatchNorm1d(10), vector),
        "batch_norm1d_long": run_module(nn.BatchNorm1d(4, momentum=0.3), even((3, 4, 5), 1000)),
        "batch_norm2d": run_module(nn.BatchNorm2d(4), image),
        "batch_norm2d_eval": run_module(trained, image, train=False),
        "batch_norm2d_plain": run_module(nn.BatchNorm2d(4, affine=False, eps=1e-3), image),
        "layer_norm": run_module(nn.LayerNorm(10), vector),
        "layer_norm_2d": run_module(nn.LayerNorm((9, 8), eps=1e-3), image),
        "group_norm": run_module(nn.GroupNorm(2, 4), image),
        "embedding": run_module(nn.Embedding(7, 3), ids),
        "embedding_padded": run_module(nn.Embedding(7, 3, padding_idx=5), ids),
    }


# ---- recurrent networks ----------------------------------------------------------------------------------


def run_recurrent(module, x, states=()):
    """states: h, or h and c; gradients flow in through the output and through the last states."""
    fill(module)
    x, states = x.clone().requires_grad_(), [s.clone().requires_grad_() for s in states]
    given = tuple(states) if isinstance(module, nn.LSTM) else states[0] if states else None
    y, last = module(x, given) if states else module(x)
    last = last if isinstance(last, tuple) else (last,)
    loss = (y * even(y.shape, 77)).sum()
    for k, s in enumerate(last):
        loss = loss + (s * even(s.shape, 78 + k)).sum()
    loss.backward()
    return {"shape": list(y.shape), "output": digest(y), "last": [digest(s) for s in last],
            "gradients": {name: digest(p.grad) for name, p in module.named_parameters()},
            "input_gradient": digest(x.grad), "state_gradients": [digest(s.grad) for s in states]}


def recurrent():
    kinds = {"rnn": lambda *a, **o: nn.RNN(*a, **o), "gru": lambda *a, **o: nn.GRU(*a, **o),
             "relu": lambda *a, **o: nn.RNN(*a, nonlinearity="relu", **o), "lstm": lambda *a, **o: nn.LSTM(*a, **o)}
    x, cases = even((7, 3, 5), 1000), {}

    def states(kind, *shape):
        return [even(shape, 1001 + k) for k in range(2 if kind == "lstm" else 1)]

    for kind, make in kinds.items():
        cases[kind] = run_recurrent(make(5, 6), x)
        cases[kind + "_given"] = run_recurrent(make(5, 6), x, states(kind, 1, 3, 6))
        cases[kind + "_layers"] = run_recurrent(make(5, 6, 3), x, states(kind, 3, 3, 6))
        cases[kind + "_both_ways"] = run_recurrent(
            make(5, 4, 2, bidirectional=True, batch_first=True), x, states(kind, 4, 7, 4))
        cases[kind + "_no_bias"] = run_recurrent(make(5, 6, bias=False, bidirectional=True), x)
        cases[kind + "_single"] = run_recurrent(make(5, 6, 2), x[:, 0], states(kind, 2, 6))
        cases[kind + "_one_step"] = run_recurrent(make(5, 6), x[:1])
        cases[kind + "_wide"] = run_recurrent(make(40, 130), even((4, 9, 40), 1000))
    return cases


# ---- losses -----------------------------------------------------------------------------------------------


def run_loss(loss, x):
    x = x.clone().requires_grad_()
    value = loss(x)
    (value * even(value.shape, 77)).sum().backward()
    return {"value": digest(value), "gradient": digest(x.grad)}


def losses():
    x, y, t = even((6, 5), 1000), labels(6, 5), even((6, 5), 1001)
    p, q = (even((6, 5), 1002) + 1.2) / 2.5, (t + 1) / 2
    soft = torch.softmax(t, 1)
    weight = even((5,), 1003) + 1.5
    space, space_y = even((2, 5, 3, 2), 1000), labels(12, 5).reshape(2, 3, 2)
    cases = {}
    for kind in ("mean", "sum", "none"):
        r = {"reduction": kind}
        cases["nll_" + kind] = (lambda v, r=r: F.nll_loss(F.log_softmax(v, 1), y, **r), x)
        cases["cross_entropy_" + kind] = (lambda v, r=r: F.cross_entropy(v, y, **r), x)
        cases["cross_entropy_weight_" + kind] = (lambda v, r=r: F.cross_entropy(v, y, weight=weight, **r), x)
        cases["cross_entropy_ignore_" + kind] = (lambda v, r=r: F.cross_entropy(v, y, ignore_index=2, **r), x)
        cases["cross_entropy_both_" + kind] = (
            lambda v, r=r: F.cross_entropy(v, y, weight=weight, ignore_index=2, **r), x)
        cases["cross_entropy_smooth_" + kind] = (
            lambda v, r=r: F.cross_entropy(v, y, label_smoothing=0.2, **r), x)
        cases["cross_entropy_soft_" + kind] = (lambda v, r=r: F.cross_entropy(v, soft, **r), x)
        cases["cross_entropy_space_" + kind] = (lambda v, r=r: F.cross_entropy(v, space_y, **r), space)
        cases["mse_" + kind] = (lambda v, r=r: F.mse_loss(v, t, **r), x)
        cases["l1_" + kind] = (lambda v, r=r: F.l1_loss(v, t, **r), x)
        cases["bce_" + kind] = (lambda v, r=r: F.binary_cross_entropy(v, q, **r), p)
        cases["bce_weight_" + kind] = (lambda v, r=r: F.binary_cross_entropy(v, q, weight=p, **r), p)
        cases["bce_logits_" + kind] = (lambda v, r=r: F.binary_cross_entropy_with_logits(v, q, **r), x)
        cases["bce_logits_pos_" + kind] = (
            lambda v, r=r: F.binary_cross_entropy_with_logits(v, q, pos_weight=weight, **r), x)
        cases["kl_div_" + kind] = (lambda v, r=r: F.kl_div(v, soft, **r), x)
        cases["kl_div_log_" + kind] = (lambda v, r=r: F.kl_div(v, soft.log(), log_target=True, **r), x)
    cases["kl_div_batchmean"] = (lambda v: F.kl_div(v, soft, reduction="batchmean"), x)
    cases["bce_logits_large"] = (lambda v: F.binary_cross_entropy_with_logits(v * 1000, q), x)
    cases["normalize"] = (lambda v: F.normalize(v), x)
    cases["normalize_1"] = (lambda v: F.normalize(v, p=1, dim=0), x)
    cases["normalize_3"] = (lambda v: F.normalize(v, p=3, dim=1), x)
    cases["pad"] = (lambda v: F.pad(v, (1, 2, 0, 3), value=0.5), x)
    cases["pad_cut"] = (lambda v: F.pad(v, (-1, 2, 1, -3), value=0.5), x)
    cases["pad_cut_both"] = (lambda v: F.pad(v, (-2, -1)), x)
    return {name: run_loss(*case) for name, case in cases.items()}


# ---- optimisers ---------------------------------------------------------------------------------------------


def run_optimizer(make):
    a, b = even((3, 4), 1).requires_grad_(), even((5,), 2).requires_grad_()
    opt, steps = make([a, b]), []
    for _ in range(5):
        opt.zero_grad()
        loss = (a ** 4).sum() + (a[0] * b[:4]).sum() + ((b - 0.3) ** 2).sum()
        loss.backward()
        opt.step()
        steps.append({"loss": loss.item(), "a": digest(a), "b": digest(b)})
    return steps


def rates(schedule, lr=0.5, steps=8):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    s, seen = schedule(opt), []
    for _ in range(steps):
        seen.append(opt.param_groups[0]["lr"])
        opt.step()
        s.step()
    return seen


def clipped(most, p):
    a, b = even((3, 4), 1).requires_grad_(), even((5,), 2).requires_grad_()
    ((a ** 4).sum() + (b ** 3).sum()).backward()
    norm = torch.nn.utils.clip_grad_norm_([a, b], most, norm_type=p)
    return {"norm": norm.item(), "a": digest(a.grad), "b": digest(b.grad)}


def optimisers():
    O, S = torch.optim, torch.optim.lr_scheduler
    return {
        "steps": {
            "sgd": run_optimizer(lambda p: O.SGD(p, lr=0.1)),
            "sgd_decay": run_optimizer(lambda p: O.SGD(p, lr=0.1, weight_decay=0.1)),
            "sgd_momentum": run_optimizer(lambda p: O.SGD(p, lr=0.05, momentum=0.9)),
            "sgd_dampening": run_optimizer(
                lambda p: O.SGD(p, lr=0.05, momentum=0.9, dampening=0.5, weight_decay=0.01)),
            "sgd_nesterov": run_optimizer(
                lambda p: O.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)),
            "adam": run_optimizer(lambda p: O.Adam(p)),
            "adam_options": run_optimizer(
                lambda p: O.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
            "adam_amsgrad": run_optimizer(lambda p: O.Adam(p, lr=0.05, amsgrad=True)),
            "adamw": run_optimizer(lambda p: O.AdamW(p, lr=0.05)),
            "adamw_amsgrad": run_optimizer(lambda p: O.AdamW(p, lr=0.05, weight_decay=0.2, amsgrad=True)),
            "adagrad": run_optimizer(lambda p: O.Adagrad(p)),
            "adagrad_options": run_optimizer(
                lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5)),
            "rmsprop": run_optimizer(lambda p: O.RMSprop(p)),
            "rmsprop_options": run_optimizer(
                lambda p: O.RMSprop(p, lr=0.02, alpha=0.9, weight_decay=0.1, momentum=0.9, centered=True)),
            "groups": run_optimizer(lambda p: O.SGD(
                [{"params": p[:1]}, {"params": p[1:], "lr": 0.01, "momentum": 0.5}], lr=0.1)),
        },
        "rates": {
            "step": rates(lambda o: S.StepLR(o, 3, gamma=0.5)),
            "cosine": rates(lambda o: S.CosineAnnealingLR(o, 7, eta_min=0.1)),
            "warmup": rates(lambda o: S.LinearLR(o, start_factor=0.2, total_iters=5)),
        },
        "clipped": {"two": clipped(1.0, 2), "not": clipped(100.0, 2), "one": clipped(2.0, 1),
                    "most": clipped(0.5, float("inf"))},
    }


# ---- embeddings with sparse gradients ------------------------------------------------------------------------


def run_sparse(make, most=None):
    """Five steps over ids of which some come twice, some never; one step accumulates two gradients."""
    e = nn.Embedding(9, 4, sparse=True)
    with torch.no_grad():
        e.weight.copy_(even((9, 4), 1))
    opt, steps = make(e.parameters()), []
    for step in range(5):
        opt.zero_grad()
        for k in range(2 if step == 3 else 1):
            ids = (torch.arange(6) * (step + 3) + step + k) % 8
            loss = ((e(ids) - even((6, 4), 50 + step + k)) ** 2).sum()
            loss.backward()
        if most:
            g = e.weight.grad.coalesce()
            norm = g.values().norm()
            e.weight.grad = g * min(most / (norm.item() + 1e-6), 1.0)
        opt.step()
        steps.append({"loss": loss.item(), "weight": digest(e.weight),
                      "gradient": digest(e.weight.grad.to_dense())})
    return steps


def sparse():
    O = torch.optim
    return {
        "sgd": run_sparse(lambda p: O.SGD(p, lr=0.1)),
        "clipped": run_sparse(lambda p: O.SGD(p, lr=0.1), most=1.5),
        "momentum": run_sparse(lambda p: O.SGD(p, lr=0.1, momentum=0.9)),
        "adagrad": run_sparse(lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.5)),
        "adam": run_sparse(lambda p: O.SparseAdam(list(p), lr=0.05, betas=(0.8, 0.95))),
    }


# ---- a model's file ---------------------------------------------------------------------------------------


def save_safetensors(path, tensors):
    """The format by hand: u64 length, JSON header, raw little-endian data."""
    names = {torch.float32: "F32", torch.int64: "I64"}
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.contiguous().numpy().tobytes()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def model_file():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Sequential(nn.Linear(36, 8), nn.Tanh()), nn.Linear(8, 3))
    fill(model)
    x = even((5, 1, 8, 8), 1000)
    model(x)
    model.float()
    save_safetensors(os.path.join(OUT, "torch-model.safetensors"), model.state_dict())
    model.eval()
    return {"names": [name for name in model.state_dict()], "output": digest(model(x.float()))}


os.makedirs(OUT, exist_ok=True)
write("models", "One training step of three models.", models())
write("modules", "Each module, forward and backward.", modules())
write("recurrent", "Recurrent networks, forward and backward.", recurrent())
write("losses", "The losses and their gradients.", losses())
write("optim", "Optimisers, schedules and clipping.", optimisers())
write("sparse", "Training steps of embeddings with sparse gradients.", sparse())
write("file", "What torch-model.safetensors holds and gives.", model_file())
