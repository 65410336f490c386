#!/usr/bin/env python3
"""A peer for `bptt bench`: whole training steps of a PyTorch character RNN on the CPU.

One step: windows of B contiguous streams of a text -> dense one-hot input -> nn.RNN, nn.GRU or nn.LSTM -> nn.Linear ->
cross_entropy -> backward -> clipping of the gradient norm (--clip) -> update; the state is carried from step to step and detached. Warm-up is left out, each further step timed.

To get PyTorch, one of:
    python3 -m venv v && v/bin/pip install torch numpy      a recent one, with MKL and oneDNN: the faster peer on Intel
    apt-get install python3-torch libopenblas0-openmp       Debian's, on OpenBLAS

Settings that decide how fast it is, all of them outside this program or in its options:
    Debian's PyTorch is threaded by OpenMP, and OpenBLAS by pthreads of its own unless told otherwise; two threads
    can then be slower than one. LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/openblas-openmp picks the other flavour for
    one process and leaves the machine's choice alone.
    With MKL nothing beats the defaults by more than a few percent (large MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_
    come nearest); for Debian's ATEN_CPU_CAPABILITY=avx512 is worth as much. OMP_WAIT_POLICY=PASSIVE makes two threads
    slower than one. The default spins, so two threads need two idle cores; on a busy machine only one thread's CPU
    time says anything. --flush-denormal and --no-mkldnn are there to see that they change nothing.

GFLOP/s counts useful products only, the same for every peer (N = B*T, G gates): layer 1 6GNH^2, each further layer
12GNH^2, output 6NHV. What the dense one-hot product costs beyond that is not counted.
"""
import argparse
import json
import os
import re
import statistics
import sys
import time

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")      # a CPU peer: no time spent looking for GPUs

import torch
from torch import nn
import torch.nn.functional as F


LAYERS = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--cell", choices=[*LAYERS], default="tanh")
    a.add_argument("--vocab", type=int, default=65, metavar="V")
    a.add_argument("--hidden", type=int, default=128, metavar="H")
    a.add_argument("--layers", type=int, default=2, metavar="L")
    a.add_argument("--batch", type=int, default=50, metavar="B")
    a.add_argument("--steps", type=int, default=50, metavar="T", help="time steps in a window")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
    a.add_argument("--clip", type=float, default=0.0, metavar="X", help="of the gradient norm; 0: none")
    a.add_argument("--rate", type=float, default=1e-3)
    a.add_argument("--iterations", type=int, default=0, metavar="N", help="timed steps; 0: as many as fit --seconds")
    a.add_argument("--seconds", type=float, default=3.0, metavar="S", help="for the timed steps")
    a.add_argument("--warm-up", type=int, default=5, metavar="N", help="steps that are not timed")
    a.add_argument("--text", metavar="FILE", help="default: random bytes of the vocabulary")
    a.add_argument("--flush-denormal", action="store_true", help="torch.set_flush_denormal(True)")
    a.add_argument("--no-mkldnn", action="store_true", help="keep oneDNN out of it")
    a.add_argument("--json", action="store_true", help="one JSON object on one line")
    o = a.parse_args()
    if min(o.vocab, o.hidden, o.layers, o.batch, o.steps, o.threads) < 1 or o.iterations < 0:
        a.error("sizes and threads are at least 1")
    return o


def tokens(path, V, need):
    """(ids [n], V): ranks of a file's bytes among its distinct ones, or `need` random tokens below V."""
    if path is None:
        return torch.randint(V, (need,), generator=torch.Generator().manual_seed(1)), V
    with open(path, "rb") as f:
        text = torch.tensor(list(f.read()), dtype=torch.int64)
    found, ids = torch.unique(text, sorted=True, return_inverse=True)
    if len(ids) < need:
        raise SystemExit(f"{path}: {len(ids)} bytes, and one window alone takes {need}")
    return ids, len(found)


class Windows:
    """Endless windows (x, y, first) [T][B] of B contiguous streams; first: the streams start anew."""

    def __init__(self, ids, B, T):
        self.ids, self.T, self.k = ids, T, 0
        length = (len(ids) - 1) // B
        self.epoch = length // T
        self.offset = torch.arange(T).unsqueeze(1) + length * torch.arange(B).unsqueeze(0)

    def next(self):
        first = self.k == 0
        i = self.offset + self.k * self.T
        self.k = (self.k + 1) % self.epoch
        return self.ids[i], self.ids[i + 1], first


class Peer:
    """A model with its optimizer, carried state and text; step() does what is timed."""

    def __init__(self, o):
        torch.manual_seed(1)
        ids, self.V = tokens(o.text, o.vocab, o.batch * o.steps * (1 if o.text else 40) + 1)
        self.windows = Windows(ids, o.batch, o.steps)
        nonlinearity = {"nonlinearity": o.cell} if LAYERS[o.cell] is nn.RNN else {}
        self.rnn = LAYERS[o.cell](self.V, o.hidden, o.layers, **nonlinearity)
        self.decoder = nn.Linear(o.hidden, self.V)
        self.parameters, self.clip = [*self.rnn.parameters(), *self.decoder.parameters()], o.clip
        make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[o.optimizer]
        try:
            self.optimizer = make(self.parameters, lr=o.rate, fused=True)      # one kernel: the fastest
        except (RuntimeError, TypeError):                                      # older PyTorch: for GPUs only, or none
            self.optimizer = make(self.parameters, lr=o.rate)
        self.eye = torch.eye(self.V)               # one-hot by a row gather: quicker than F.one_hot and a cast
        self.state = None

    def step(self):
        x, y, first = self.windows.next()
        self.optimizer.zero_grad(set_to_none=True)
        h, state = self.rnn(self.eye[x], None if first else self.state)
        self.state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        loss = F.cross_entropy(self.decoder(h).reshape(-1, self.V), y.reshape(-1))
        loss.backward()
        if self.clip > 0:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        return loss.item()


def measure(peer, o):
    """(wall, cpu) of each timed step in ms. CPU time is the whole process's: it means work only on one thread."""
    for _ in range(o.warm_up):
        peer.step()
    wall, cpu = [], []
    end = time.perf_counter() + o.seconds
    while len(wall) < o.iterations if o.iterations else len(wall) < 3 or time.perf_counter() < end:
        w, c = time.perf_counter(), time.process_time()
        loss = peer.step()
        wall.append(1e3 * (time.perf_counter() - w))
        cpu.append(1e3 * (time.process_time() - c))
        if not abs(loss) < float("inf"):           # NaN as well
            raise SystemExit(f"the loss is {loss} after {len(wall)} steps")
    return wall, cpu


def blas():
    """The library that does the products, as torch names it, and the OpenBLAS file that was loaded if it is one."""
    about = torch.__config__.show()
    name = re.search(r"BLAS_INFO=(\w+)", about)
    name = name.group(1) if name else "mkl" if torch.backends.mkl.is_available() else "other"
    try:
        with open("/proc/self/maps") as f:
            loaded = {line.split()[-1] for line in f if re.search(r"/lib(openblas|blas|blis|mkl_rt)[^/]*\.so", line)}
    except OSError:
        loaded = set()
    return " ".join([name, *sorted(loaded)])


def quartiles(x):
    return statistics.quantiles(x, n=4, method="inclusive") if len(x) > 1 else 3 * x


def report(peer, wall, cpu, o):
    H, N = o.hidden, o.batch * o.steps
    flop = N * (GATES[o.cell] * (6 * H * H + (o.layers - 1) * 12 * H * H) + 6 * H * peer.V)
    q1, median, q3 = quartiles(wall)
    c1, cpu_median, c3 = quartiles(cpu)
    return {
        "peer": "torch", "version": torch.__version__, "blas": blas(), "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else "unknown",
        "cell": o.cell, "optimizer": o.optimizer, "vocab": peer.V, "hidden": H, "layers": o.layers,
        "batch": o.batch, "steps": o.steps, "iterations": len(wall),
        "ms_per_step": median, "ms_min": min(wall), "ms_q1": q1, "ms_q3": q3,
        "cpu_ms": cpu_median, "cpu_ms_min": min(cpu), "cpu_ms_q1": c1, "cpu_ms_q3": c3,
        "chars_per_s": 1e3 * N / median, "gflops": 1e-6 * flop / median,
    }


def limit_threads(n):
    """OpenBLAS reads its number of threads once, when it is loaded: start over if that was another one."""
    if os.environ.get("OMP_NUM_THREADS") != str(n):
        os.environ["OMP_NUM_THREADS"] = str(n)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main():
    o = options()
    limit_threads(o.threads)
    torch.set_num_threads(o.threads)
    if o.flush_denormal:
        torch.set_flush_denormal(True)
    if o.no_mkldnn:
        torch.backends.mkldnn.enabled = False
    peer = Peer(o)
    wall, cpu = measure(peer, o)
    r = report(peer, wall, cpu, o)
    if o.json:
        print(json.dumps(r))
        return
    print(f"torch {r['version']}, {r['blas']}, {r['capability']}, {r['threads']} thread(s)")
    print(torch.__config__.show().strip())
    print(f"{o.cell} V={peer.V} H={o.hidden} L={o.layers} B={o.batch} T={o.steps}, {o.optimizer}, {len(wall)} steps")
    print(f"ms per step: median {r['ms_per_step']:.3f}, quartiles {r['ms_q1']:.3f} .. {r['ms_q3']:.3f}, "
          f"min {r['ms_min']:.3f}; CPU time median {r['cpu_ms']:.3f}, min {r['cpu_ms_min']:.3f}")
    print(f"{r['chars_per_s']:.0f} chars/s, {r['gflops']:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
