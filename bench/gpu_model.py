"""What a persistent kernel should take on an H100, before anybody measures it: the serial floor of one layer.

A step is arithmetic on one SM's share, plus a fixed latency (state read, matrix units drained, tanh, store, barrier), plus
what the SMs that share a state have to tell each other. Three ways to lay a layer out, and the fastest that fits counts:

    block     one block keeps all weights in registers and takes a tile of batch rows: no SM waits for another
    cluster   C blocks share the weights and send each other their rows of the state
    grid      all SMs share the weights; a barrier a step

It is a model: believe it to some tens of percent. A figure far from it says that one of the two is wrong.
"""
SMS = 128                                # of 132: what clusters of 8 and 16 can use
MHZ = 1755.0
LATENCY, EXCHANGE, GRID_BARRIER = 150.0, 300.0, 1100.0 * MHZ / 1000     # clocks
CLUSTER_BYTES, L2_BYTES, SHARED_BYTES = 13.0, 30.0, 128.0               # a clock and SM
FLOP = {"fp32": 250.0, "tf32": 1090.0, "bf16": 2576.0, "fp16": 2576.0}   # a clock and SM
PEAK = {"fp32": 60e12, "tf32": 400e12, "bf16": 800e12, "fp16": 800e12}       # a second, large products
SIZE = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2}
GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}
REGISTERS, SHARED = 128 * 1024, 200 * 1024                              # bytes of weights an SM can keep


def tile(batch, groups):
    """Batch rows of one of so many groups that work side by side: multiples of 8, as the matrix units want them."""
    return 8 * max(1, -(-batch // (8 * groups)))


def step_clocks(H, B, precision, gates):
    """Clocks of one time step, the best layout."""
    size, rate, weights = SIZE[precision], FLOP[precision], gates * H * H * SIZE[precision]
    best = []
    if weights <= REGISTERS:
        best.append(2 * tile(B, SMS) * gates * H * H / rate + LATENCY)
    for C in (2, 4, 8, 16):
        if weights / C > REGISTERS + SHARED:
            continue
        N = tile(B, SMS // C)
        arithmetic = 2 * N * gates * H * H / C / rate
        weights_read = max(0.0, weights / C - REGISTERS) / SHARED_BYTES
        told = EXCHANGE + N * H * size * (C - 1) / C / CLUSTER_BYTES
        best.append(max(arithmetic, weights_read) + LATENCY + told)
    for k in (1, 2, 4, 8):               # SMs that each take a slice of the state and add up what they found
        read = B * H / k * size / L2_BYTES
        partial = gates * H * k / SMS * B * 4 * (k - 1) / k / CLUSTER_BYTES
        best.append(GRID_BARRIER + LATENCY + 2 * B * gates * H * H / SMS / rate + read + partial)
    return min(best)


def microseconds(kind, cell, H, L, B, T, precision):
    """Of one layer stack of T steps; None where the model has nothing to say."""
    if precision not in SIZE or cell not in GATES or min(H, L, B, T) < 1:
        return None
    gates = GATES[cell]
    forward = T * L * step_clocks(H, B, precision, gates) / MHZ
    product = 2e6 * T * B * gates * H * H / (0.6 * PEAK[precision])      # one large product over all steps
    if kind == "forward":
        return forward + L * product                                     # the inputs' product
    if kind == "backward":
        return 1.2 * forward + 3 * L * product                           # both weights' gradients, the input's
    if kind in ("fwd+bwd", "both"):
        return 2.2 * forward + 4 * L * product
    return None
