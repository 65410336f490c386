#!/usr/bin/env python3
"""A peer for `bptt_layers`: PyTorch's nn.RNN, GRU and LSTM on a GPU, and whole training steps around them.

Rows of kind "eager" and "graph" have the keys of bptt_layers: recurrent layers on dense input as wide as they are,
forward (training mode) and forward with the gradients of input and weights, each eagerly and as a replayed CUDA graph.
Which of cuDNN's algorithms runs is PyTorch's choice; the best of them is for bptt_layers to show.
Rows of kind "train" are whole steps of a character RNN: one-hot input, layers, decoder, cross entropy, clipping by the
norm, Adam on float32 weights; "ms_eager", "ms_graph", "chars_per_s" of the faster.

    torch_layers.py [--cell tanh --hidden 512 --layers 1 --batch 64 --steps 100 --precision fp32,tf32,bf16,fp16]
    torch_layers.py --train [--vocab 96 ...]
    torch_layers.py --grid [--train]                a list of shapes instead of one

One JSON object a line. Needs PyTorch with CUDA and nothing else. --on cpu runs eagerly on the host's clock: a test of
this program, not a number.
"""
import argparse
import hashlib
import json
import math
import statistics
import sys
import time

try:
    import torch
except ImportError as e:
    sys.exit(f"torch_layers.py: PyTorch is not here ({e}); pip install torch in a virtual environment")
from torch import nn
import torch.nn.functional as F

CELLS = {"tanh": lambda *p: nn.RNN(*p), "relu": lambda *p: nn.RNN(*p, nonlinearity="relu"),
         "gru": lambda *p: nn.GRU(*p), "lstm": lambda *p: nn.LSTM(*p)}
# type of everything, whether products of floats may round to 11 bits
PRECISIONS = {"fp32": (torch.float32, False), "tf32": (torch.float32, True), "bf16": (torch.bfloat16, True),
              "fp16": (torch.float16, True)}
# cell, H, L, B, T: where cuDNN has a path of its own, where it has none, DeepBench's
GRID = [("tanh", H, L, B, 100) for H in (128, 256, 384, 512, 1024) for B in (32, 128) for L in (1, 2)]
GRID += [("relu", H, 1, B, 50) for H in (1760, 2048, 2560) for B in (16, 32, 128)] + [("relu", 512, 1, 128, 100)]
GRID += [(c, H, 1, B, 100) for c in ("gru", "lstm") for H in (128, 256, 512, 1024) for B in (32, 128)]
TRAIN = [("tanh", 128, 2, 50, 50), ("tanh", 512, 1, 64, 64), ("lstm", 512, 2, 128, 100), ("tanh", 512, 2, 128, 100),
         ("gru", 256, 1, 64, 64), ("tanh", 1024, 1, 64, 100)]


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--cell", choices=CELLS, default="tanh")
    a.add_argument("--hidden", type=int, default=512, metavar="H")
    a.add_argument("--layers", type=int, default=1, metavar="L")
    a.add_argument("--batch", type=int, default=64, metavar="B")
    a.add_argument("--steps", type=int, default=100, metavar="T")
    a.add_argument("--vocab", type=int, default=96, metavar="V", help="of training steps")
    a.add_argument("--precision", default="fp32,tf32,bf16,fp16")
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--seconds-each", type=float, default=0.05)
    a.add_argument("--train", action="store_true", help="training steps instead of layers")
    a.add_argument("--grid", action="store_true", help="a list of shapes instead of one")
    a.add_argument("--on", choices=["cuda", "cpu"], default="cuda")
    o = a.parse_args()
    o.precision = o.precision.split(",")
    if not set(o.precision) <= set(PRECISIONS):
        a.error("precisions are " + ", ".join(PRECISIONS))
    if min(o.hidden, o.layers, o.batch, o.steps, o.rounds) < 1 or o.vocab < 2 or not o.seconds_each > 0:
        a.error("sizes and rounds are at least 1, a vocabulary 2, seconds above 0")
    return o


# ---- time -----------------------------------------------------------------------------------------------------------

class Clock:
    """Seconds of n runs of f: by events of the device, or by the host's clock on the CPU."""

    def __init__(self, on):
        self.cuda = on == "cuda"

    def __call__(self, f, n):
        if not self.cuda:
            start = time.perf_counter()
            for _ in range(n):
                f()
            return time.perf_counter() - start
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(n):
            f()
        end.record()
        end.synchronize()
        return 1e-3 * start.elapsed_time(end)

    def times(self, f, seconds):
        """Warms up, and says how many runs fill a round."""
        self(f, 3)
        return max(1, min(100000, math.ceil(3 * seconds / max(self(f, 3), 1e-9))))


def captured(f):
    """(replay, None), or (None, why not)."""
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                f()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            f()
        return graph.replay, None
    except RuntimeError as e:
        torch.cuda.set_stream(torch.cuda.default_stream())
        torch.cuda.synchronize()
        return None, "capture: " + " ".join(str(e).split())[:200]


def rounds(clock, runs, o):
    """Median and quartiles of ms of each named run, in turn (A B A B ...)."""
    n = {name: clock.times(f, o.seconds_each) for name, f in runs.items()}
    ms = {name: [] for name in runs}
    for _ in range(o.rounds):
        for name, f in runs.items():
            ms[name].append(1e3 * clock(f, n[name]) / n[name])
    q = {k: statistics.quantiles(v, n=4, method="inclusive") if len(v) > 1 else 3 * v for k, v in ms.items()}
    return {k: (*q[k], n[k]) for k in runs}


def put(key, q):
    return {key: q[1], key + "_q1": q[0], key + "_q3": q[2], key + "_runs": q[3]}


# ---- layers ---------------------------------------------------------------------------------------------------------

def set_precision(name):
    dtype, tf32 = PRECISIONS[name]
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    return dtype


class Layers:
    """Layers with their input and a cotangent: the same numbers for every type."""

    def __init__(self, shape, dtype, device):
        cell, H, L, B, T = shape
        torch.manual_seed(1)
        numbers = [torch.rand(T, B, H, dtype=torch.float64) * 2 - 1 for _ in range(2)]
        self.m = CELLS[cell](H, H, L).to(device, dtype)
        self.m.flatten_parameters()
        self.x, self.dy = (n.to(device, dtype) for n in numbers)
        self.x.requires_grad_()
        self.wanted = [self.x, *self.m.parameters()]

    def forward(self):
        return self.m(self.x)[0]

    def both(self):
        y = self.forward()
        self.results = [y, *torch.autograd.grad(y, self.wanted, self.dy)]

    def outcome(self):
        self.both()
        return [r.detach().cpu() for r in self.results]


def digest(outcome):
    h = hashlib.sha256()
    for r in outcome:
        h.update(r.contiguous().view(torch.uint8).numpy().tobytes())
    return h.hexdigest()[:16]


def error(got, want):
    return ((got.double() - want).abs().max() / want.abs().max()).item()


def layer_rows(shape, precision, reference, o, head):
    cell, H, L, B, T = shape
    clock = Clock(o.on)
    row = dict(head, contestant="torch", algorithm="torch's choice", clock="device" if clock.cuda else "host",
               cell=cell, precision=precision, H=H, L=L, B=B, T=T, rounds=o.rounds)
    try:
        layers = Layers(shape, set_precision(precision), o.on)
        once, again = layers.outcome(), layers.outcome()
        row.update(error_y=error(once[0], reference[0]), error_dx=error(once[1], reference[1]),
                   error_dw=max(error(g, r) for g, r in zip(once[2:], reference[2:])),
                   hash=digest(once), same=digest(once) == digest(again), error=None)
        runs = {("eager", "forward"): layers.forward, ("eager", "both"): layers.both}
        why = "no CUDA graphs on the CPU" if not clock.cuda else None
        for what, f in [*runs.items()] if clock.cuda else []:
            replay, failed = captured(f)
            why = why or failed
            if replay:
                runs["graph", what[1]] = replay
        ms = rounds(clock, runs, o)
    except (RuntimeError, NotImplementedError) as e:
        yield dict(row, kind="eager", error=" ".join(str(e).split())[:200])
        return
    for kind in ("eager", "graph"):
        if (kind, "forward") not in ms or (kind, "both") not in ms:
            yield dict(row, kind=kind, error=why)
            continue
        forward, both = ms[kind, "forward"], ms[kind, "both"]
        yield dict(row, kind=kind, **put("ms_forward", forward), **put("ms_both", both),
                   us_per_step=1e3 * forward[1] / T / L, us_per_step_both=1e3 * both[1] / T / L)


# ---- training steps -------------------------------------------------------------------------------------------------

def copy_all(to, src):
    if hasattr(torch, "_foreach_copy_"):         # PyTorch 2.1
        torch._foreach_copy_(to, src)
        return
    for t, s in zip(to, src):
        t.copy_(s)


class Step:
    """One-hot input, layers, decoder, loss, clipping, Adam on float32 weights that the narrow ones are copied from."""

    def __init__(self, shape, V, precision, device):
        cell, H, L, B, T = shape
        torch.manual_seed(1)
        dtype = set_precision(precision)
        self.m = CELLS[cell](V, H, L).to(device, dtype)
        self.m.flatten_parameters()
        self.decoder = nn.Linear(H, V).to(device, dtype)
        self.narrow = [*self.m.parameters(), *self.decoder.parameters()]
        self.low = dtype != torch.float32
        self.master = [p.detach().float().clone().requires_grad_() for p in self.narrow] if self.low else self.narrow
        for p in self.master:
            p.grad = torch.zeros_like(p)
        on_gpu = {"fused": True, "capturable": True} if device == "cuda" else {}
        self.adam = torch.optim.Adam(self.master, lr=2e-3, **on_gpu)
        self.eye = torch.eye(V).to(device, dtype)
        self.token = torch.randint(V, (T, B), device=device)
        self.target = torch.randint(V, (T * B,), device=device)
        self.scale = 1024.0 if dtype == torch.float16 else 1.0       # constant: no wait for the device

    def __call__(self):
        y = self.m(F.embedding(self.token, self.eye))[0]
        loss = F.cross_entropy(self.decoder(y).flatten(0, 1).float(), self.target)
        grads = torch.autograd.grad(loss * self.scale, self.narrow)
        with torch.no_grad():
            copy_all([p.grad for p in self.master], list(grads))
            if self.scale != 1:
                torch._foreach_mul_([p.grad for p in self.master], 1 / self.scale)
        nn.utils.clip_grad_norm_(self.master, 5.0)
        self.adam.step()
        if self.low:
            with torch.no_grad():
                copy_all(self.narrow, self.master)
        self.loss = loss.detach()


def train_row(shape, precision, o, head):
    cell, H, L, B, T = shape
    clock = Clock(o.on)
    row = dict(head, contestant="torch", kind="train", clock="device" if clock.cuda else "host", cell=cell,
               precision=precision, V=o.vocab, H=H, L=L, B=B, T=T, rounds=o.rounds)
    try:
        step = Step(shape, o.vocab, precision, o.on)
        runs, why = {"eager": step}, None
        if clock.cuda:
            replay, why = captured(step)
            runs.update({"graph": replay} if replay else {})
        ms = rounds(clock, runs, o)
        loss = step.loss.item()
    except (RuntimeError, NotImplementedError) as e:
        return dict(row, error=" ".join(str(e).split())[:200])
    best = min(q[1] for q in ms.values())
    for name, q in ms.items():
        row.update(put("ms_" + name, q))
    if not math.isfinite(loss):
        why = f"the loss is {loss}"
    return dict(row, ms_per_step=best, chars_per_s=1e3 * B * T / best, loss=loss, error=why)


# ---- main -----------------------------------------------------------------------------------------------------------

def prepare(o):
    if o.on == "cpu":
        return {"device": "CPU", "torch": torch.__version__}
    if not torch.cuda.is_available():
        sys.exit("torch_layers.py: PyTorch sees no CUDA device, so there is nothing to time")
    types = getattr(torch.backends.cudnn, "CUDNN_TENSOR_DTYPES", None)
    if types is not None and torch.bfloat16 not in types:
        types.add(torch.bfloat16)               # else bf16 weights are not flattened and are copied at every call
        try:
            nn.RNN(8, 8).to("cuda", torch.bfloat16)(torch.zeros(1, 1, 8, device="cuda", dtype=torch.bfloat16))
        except RuntimeError:                    # cuDNN before 9.13 has no bf16 RNN
            types.discard(torch.bfloat16)
    a, t1 = torch.randn(4096, 4096, device="cuda"), time.time()
    while time.time() - t1 < 1:                 # bring the clock up before the first row
        a @ a
        torch.cuda.synchronize()
    return {"device": torch.cuda.get_device_name(0), "torch": torch.__version__,
            "cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda}


def say(row):
    print(json.dumps(row), flush=True)


def main():
    o = options()
    head = prepare(o)
    one = (o.cell, o.hidden, o.layers, o.batch, o.steps)
    for shape in [] if o.train else GRID if o.grid else [one]:
        reference = Layers(shape, torch.float64, "cpu").outcome()
        for precision in o.precision:
            for row in layer_rows(shape, precision, reference, o, head):
                say(row)
    for shape in [] if not o.train else TRAIN if o.grid else [one]:
        for precision in o.precision:
            say(train_row(shape, precision, o, head))


if __name__ == "__main__":
    main()
