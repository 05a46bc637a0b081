#!/usr/bin/python3
"""make bench-peers: whole training steps in tide and in PyTorch, in turn.

    run.py TIDE FMA [WORD]     the program; the one that measures the processor's peak (bench/fma.c);
                               only workloads with WORD in their name
    PEERS_THREADS=1,2          thread counts
    PEERS_ROUNDS=5             rounds
    PEERS_SECONDS=0.4          of each side in each round
    PEERS_CLOCK=wall           or cpu, the processes' processor time: on a machine that has other work, for
                               one thread

A line for each workload and thread count, tab-separated:

    workload  threads  tide us  best torch us  ratio  share of the processor's FMA peak

A round times each side once: the least microseconds a step of repetitions of some milliseconds. The
figure is the median over the rounds. torch's best is the better of both memory formats; the ratio is
torch's figure over tide's; the share is the workload's multiplications and additions (workloads.lua
says which count) in tide's time, of the peak on as many threads, measured in the same rounds. A side
whose losses are not the golden ones (golden.lua) gets no figure, and the exit status is 1.
"""
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = int(os.environ.get("PEERS_ROUNDS", "5"))
SECONDS = os.environ.get("PEERS_SECONDS", "0.4")
THREADS = [int(t) for t in os.environ.get("PEERS_THREADS", "1,2").split(",")]


class Side:
    """A process that answers a line with a line."""

    def __init__(self, command, threads):
        env = dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads),
                   TIDE_THREADS=str(threads))
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # a wrong one would hold torch back
            env.pop(name, None)
        self.process = subprocess.Popen(command, env=env, text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline().strip()
        return answer or "wrong: it ended with status %s" % self.process.wait()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def peak_gflops(fma, threads):
    text = subprocess.run([fma, "0.05"], stdout=subprocess.PIPE, text=True, check=True).stdout
    rates = dict(line.split("\t")[1:3] for line in text.splitlines())
    return float(rates["peak-f32-1"]) * threads if threads != 2 else float(rates["peak-f32-2"])


def compare(sides, fma, name, threads):
    """The line's figures, or a text that says what is wrong."""
    answers = {key: side.ask("load %s %s" % (name, key) if key != "tide" else "load " + name)
               for key, side in sides.items()}
    for key, answer in answers.items():
        if not answer.startswith("ok"):
            return "%s: %s" % (key if key == "tide" else "torch " + key, answer)
    times, peaks = {key: [] for key in sides}, []
    for _ in range(ROUNDS):
        peaks.append(peak_gflops(fma, threads))
        for key, side in sides.items():
            answer = side.ask("time " + SECONDS)
            if not answer.startswith("us "):
                return "%s: %s" % (key, answer)
            times[key].append(float(answer.split()[1]))
    us = {key: statistics.median(values) for key, values in times.items()}
    torch = min(value for key, value in us.items() if key != "tide")
    flops = float(answers["tide"].split()[1])
    return us["tide"], torch, torch / us["tide"], flops / us["tide"] / 1e3 / statistics.median(peaks)


def main():
    tide, fma, word = sys.argv[1], sys.argv[2], "".join(sys.argv[3:])
    listing = subprocess.run([tide, HERE + "/steps.lua", "list"], stdout=subprocess.PIPE, text=True, check=True)
    names = [line for line in listing.stdout.split() if word in line]
    if not names:
        raise SystemExit("bench-peers: no workload has '%s' in its name; there are: %s"
                         % (word, " ".join(listing.stdout.split())))
    print("workload\tthreads\ttide us\tbest torch us\tratio\tshare of FMA peak", flush=True)
    failed = False
    for threads in THREADS:
        steps_py = [sys.executable, HERE + "/steps.py"]
        sides = {"tide": Side([tide, HERE + "/steps.lua"], threads),
                 "contiguous": Side(steps_py, threads), "channels_last": Side(steps_py, threads)}
        for name in names:
            is_image = "cnn" in name or "resblock" in name
            used = {key: side for key, side in sides.items() if is_image or key != "channels_last"}
            figures = compare(used, fma, name, threads)
            if isinstance(figures, str):
                failed = True
                print("bench-peers: %s: %s" % (name, figures), file=sys.stderr, flush=True)
                if "status" in figures:
                    raise SystemExit(1)
            else:
                print("%s\t%d\t%.4g\t%.4g\t%.2f\t%.1f%%"
                      % (name, threads, *figures[:3], figures[3] * 100), flush=True)
        for side in sides.values():
            side.end()
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
