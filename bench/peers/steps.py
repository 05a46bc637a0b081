#!/usr/bin/python3
"""PyTorch's side of the comparison (Debian's python3-torch), command by command as steps.lua's:

    load NAME FORMAT   FORMAT: contiguous or channels_last
    time SECONDS
    quit

    /usr/bin/python3 bench/peers/steps.py golden > bench/peers/golden.lua

writes what both sides must compute, in double precision. The environment variables
OPENBLAS_NUM_THREADS and OMP_NUM_THREADS say the number of threads: torch.set_num_threads does not
limit OpenBLAS.
"""
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

LR = 0.01
GOLDEN_STEPS = 4
now = time.process_time if os.environ.get("PEERS_CLOCK") == "cpu" else time.perf_counter


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(784, 128), nn.Linear(128, 10)

    def forward(self, x):
        return F.log_softmax(self.b(F.relu(self.a(x))), 1)


class CNN(nn.Module):
    def __init__(self, c1, c2, padding, flat, hidden):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, c1, 5, padding=padding), nn.Conv2d(c1, c2, 5, padding=padding)
        self.f1, self.f2 = nn.Linear(flat, hidden), nn.Linear(hidden, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return F.log_softmax(self.f2(F.relu(self.f1(x.flatten(1)))), 1)


class CharLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.l, self.f = nn.Embedding(90, 8), nn.LSTM(8, 256, 2, batch_first=True), nn.Linear(256, 90)

    def forward(self, x):
        return F.log_softmax(self.f(self.l(self.e(x))[0]).reshape(-1, 90), 1)


class CifarCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 3)
        self.f1, self.f2 = nn.Linear(1024, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.relu(self.c3(x))
        return F.log_softmax(self.f2(F.relu(self.f1(x.flatten(1)))), 1)


class ResBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.i = nn.Conv2d(3, c, 3, padding=1)
        self.c1, self.g1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.GroupNorm(2, c)
        self.c2, self.g2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.GroupNorm(2, c)
        self.f = nn.Linear(c, 10)

    def forward(self, x):
        x = F.relu(self.i(x))
        y = self.g2(self.c2(F.relu(self.g1(self.c1(x)))))
        return F.log_softmax(self.f(F.relu(x + y).mean((2, 3))), 1)


def logreg():
    return nn.Sequential(nn.Linear(30, 2), nn.LogSoftmax(1))


# name: model, batch, sizes of an input, classes
WORKLOADS = {
    "mlp-32": (MLP, 32, (784,), 10),
    "mlp-64": (MLP, 64, (784,), 10),
    "mlp-600": (MLP, 600, (784,), 10),
    "tutorial-cnn-64": (lambda: CNN(20, 50, 0, 800, 500), 64, (1, 28, 28), 10),
    "fedavg-cnn-10": (lambda: CNN(32, 64, 2, 3136, 512), 10, (1, 28, 28), 10),
    "fedavg-cnn-50": (lambda: CNN(32, 64, 2, 3136, 512), 50, (1, 28, 28), 10),
    "char-lstm-10x80": (CharLSTM, 10, (80,), 90),
    "logreg-32": (logreg, 32, (30,), 2),
    "cifar-cnn-32": (CifarCNN, 32, (3, 32, 32), 10),
    "resblock-32": (lambda: ResBlock(64), 32, (3, 32, 32), 10),
}


def bits(seed, n):
    """24 bits for each (seed, i), as workloads.lua makes them."""
    mix1, mix2, golden = np.uint64(0xD6E8FEB86659FD93), 0xD1B54A32D192ED03, np.uint64(0x9E3779B97F4A7C15)
    shift = np.uint64(32)
    with np.errstate(over="ignore"):
        h = np.arange(n, dtype=np.uint64) * golden + np.uint64(seed * mix2 % 2**64)
        h = (h ^ h >> shift) * mix1
        h = (h ^ h >> shift) * mix1
    return (h >> np.uint64(40)).astype(np.int64)


def even(shape, seed, scale):
    values = (bits(seed, int(np.prod(shape))) / 2.0**23 - 1) * scale
    return torch.from_numpy(values.astype(np.float32)).reshape(tuple(shape))


def labels(shape, seed, classes):
    return torch.from_numpy(bits(seed, int(np.prod(shape))) % classes).reshape(tuple(shape))


def make(name, dtype):
    model, batch, sizes, classes = WORKLOADS[name]
    model = model()
    for seed, (key, p) in enumerate(model.named_parameters(), 1):
        u = even(p.shape, seed, (3 / (p.numel() / p.shape[0])) ** 0.5 if p.dim() > 1 else 0.1)
        with torch.no_grad():
            p.copy_(u + 1 if p.dim() == 1 and key.endswith("weight") else u)
    shape = (batch,) + sizes
    if name.startswith("char"):
        x, y = labels(shape, 1001, 90), labels((batch * sizes[0],), 1002, 90)
    else:
        x, y = even(shape, 1001, 1.75).to(dtype), labels((batch,), 1002, classes)
    return model.to(dtype), x, y


def stepper(model, x, y):
    opt = torch.optim.SGD(model.parameters(), lr=LR)

    def step():
        opt.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        opt.step()
        return loss

    return step


def figures(name, dtype, channels_last=False):
    """The losses of the first steps, each parameter's way, and the step to go on with."""
    model, x, y = make(name, dtype)
    if channels_last and x.dim() == 4:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    before = {key: p.detach().double().clone() for key, p in model.named_parameters()}
    step = stepper(model, x, y)
    losses = [step().item() for _ in range(GOLDEN_STEPS)]
    ways = {key: (p.detach().double() - before[key]).norm().item() for key, p in model.named_parameters()}
    return losses, ways, step


def print_golden():
    print("-- Written by bench/peers/steps.py golden: PyTorch %s in double precision." % torch.__version__)
    print("-- losses: of the first steps; ways: how far each parameter is from its beginning after them.")
    print("return {")
    for name in WORKLOADS:
        losses, ways, _ = figures(name, torch.float64)
        print('  ["%s"] = {\n    parameters = %d,' % (name, len(ways)))
        print("    losses = {%s}," % ", ".join("%.12g" % v for v in losses))
        print("    ways = {")
        for key, way in ways.items():
            print('      ["%s"] = %.9g,' % (key, way))
        print("    },\n  },")
    print("}")


def golden_losses(name):
    """Read out of golden.lua, which has them on one line."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.lua")
    with open(path) as f:
        lines = iter(f)
        for line in lines:
            if '["%s"]' % name in line:
                next(lines)
                return [float(v) for v in next(lines).split("{")[1].split("}")[0].split(",")]
    raise SystemExit("golden.lua has no " + name)


def load(name, fmt):
    losses, _, step = figures(name, torch.float32, fmt == "channels_last")
    for i, (got, want) in enumerate(zip(losses, golden_losses(name)), 1):
        if not abs(got - want) <= 2e-5 * abs(want):
            return step, "wrong loss %d is %.8g, not %.8g" % (i, got, want)
    return step, "ok"


def steps_us(step, n):
    began = now()
    for _ in range(n):
        loss = step()
    us = (now() - began) / n * 1e6
    assert loss.item() == loss.item(), "the loss is no number any more"
    return us


def measure(step, seconds):
    began = time.perf_counter()
    least = steps_us(step, 2)
    n = int(max(1, 5e3 // least))
    done = 0
    while done < 3 or time.perf_counter() - began < seconds:
        least = min(least, steps_us(step, n))
        done += 1
    return "us %.4f" % least


def main():
    if sys.argv[1:] == ["golden"]:
        torch.set_num_threads(1)
        print_golden()
        return
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    step = None
    for line in sys.stdin:
        words = line.split()
        if words[0] == "load":
            step = None
            step, answer = load(words[1], words[2])
        elif words[0] == "time":
            answer = measure(step, float(words[1]))
        else:
            break
        print(answer, flush=True)


if __name__ == "__main__":
    main()
