#!/usr/bin/env python3
"""Computes the oracles of test_oracles.c with PyTorch in double: one flat object, "name": {"shape": [..], "data": [..]},
numbers that read back equal. 64-bit words are pairs of 32-bit halves, which a double holds exactly.

    make_oracles.py > oracles.json          # any PyTorch for the CPU

 prng     SplitMix64, and the first weights of a model with 1/sqrt(H) = 1/16
 cell     one step of the Elman cell on [x; h], and its reverse for a random cotangent
 C_L1, C_L2   for each cell C a net of one layer with one trained bias and a net of two layers with both: states, logits,
          loss, gradients, clipping at half of the gradient norm, weights after one update (C_L2: only of Adam)

tanh, relu, gru and lstm are torch.nn's. mlstm, mingru and gru-before are written here after the formulas of bptt.h;
autograd differentiates them. Names and shapes of parameters are those of bptt_model_tensor; states are [L][B][S*H], h
before c. Weights and biases are multiples of 1/256 in +-0.5, initial states of 1/64 in +-1.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

V, H, B, T = 7, 4, 3, 6
MASK = (1 << 64) - 1
# cell: blocks of H rows of weight_ih, weight_hh, weight_mixed, bias_hh; states
CELLS = {'tanh': (1, 1, 0, 1, 1), 'relu': (1, 1, 0, 1, 1), 'gru': (3, 3, 0, 3, 1), 'lstm': (4, 4, 0, 4, 2),
         'mlstm': (5, 1, 4, 5, 2), 'mingru': (2, 0, 0, 0, 1), 'gru-before': (3, 2, 1, 3, 1)}
NN = {'tanh': torch.nn.RNN, 'relu': torch.nn.RNN, 'gru': torch.nn.GRU, 'lstm': torch.nn.LSTM}
RULES = {'sgd': lambda p: torch.optim.SGD(p, lr=2e-3), 'adam': lambda p: torch.optim.Adam(p, lr=2e-3),
         'rmsprop': lambda p: torch.optim.RMSprop(p, lr=2e-3, alpha=0.95)}


def words(seed):
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


class Draws:
    """Tensors of multiples of scale / n in +-scale."""

    def __init__(self, seed):
        self.stream = words(seed)

    def __call__(self, shape, scale=1.0, n=64):
        x = [(next(self.stream) % (2 * n + 1) - n) * scale / n for _ in range(int(np.prod(shape)))]
        return torch.tensor(x, dtype=torch.float64).reshape(shape).requires_grad_()


def parameters(cell, layers, biases, draw):
    """The trained tensors of a net, in the order of bptt_model_tensor."""
    ih, hh, mixed, both, _ = CELLS[cell]
    shapes = {}
    for l in range(layers):
        shapes[f'rnn.weight_ih_l{l}'] = [ih * H, V if l == 0 else H]
        if hh:
            shapes[f'rnn.weight_hh_l{l}'] = [hh * H, H]
        if mixed:
            shapes[f'rnn.weight_mixed_l{l}'] = [mixed * H, H]
        shapes[f'rnn.bias_ih_l{l}'] = [ih * H]
        if biases == 2 and both:
            shapes[f'rnn.bias_hh_l{l}'] = [both * H]
        elif cell in ('gru', 'mlstm'):
            shapes[f'rnn.bias_hn_l{l}'] = [H]
    shapes['decoder.weight'] = [V, H]
    shapes['decoder.bias'] = [V]
    return {name: draw(shape, 0.5, 128) for name, shape in shapes.items()}


def layer_of_torch(cell, w, x, state):
    """x [T][B][in], state [B][S*H] -> h [T][B][H], state."""
    net = NN[cell](x.shape[2], H, **({'nonlinearity': cell} if NN[cell] is torch.nn.RNN else {})).double()
    zeros = torch.zeros_like(w['bias_ih'])
    both = w.get('bias_hh', torch.cat([zeros[H:], w['bias_hn']]) if 'bias_hn' in w else zeros)
    whole = {'weight_ih_l0': w['weight_ih'], 'weight_hh_l0': w['weight_hh'], 'bias_ih_l0': w['bias_ih'],
             'bias_hh_l0': both}
    parts = [s[None].contiguous() for s in state.split(H, 1)]
    y, last = torch.func.functional_call(net, whole, (x, tuple(parts) if cell == 'lstm' else parts[0]))
    return y, torch.cat([s[0] for s in last], 1) if cell == 'lstm' else last[0]


def gates_of_lstm(i, f, g, o, c):
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.cat([torch.sigmoid(o) * torch.tanh(c), c], 1)


def step_by_hand(cell, w, x, state):
    """x [B][in], state [B][S*H] -> state."""
    X = (x @ w['weight_ih'].t() + w['bias_ih']).split(H, 1)
    h = state[:, :H]
    both = w.get('bias_hh', torch.zeros(5 * H, dtype=torch.float64)).split(H)
    if cell == 'mingru':
        u = torch.sigmoid(X[0])
        return (1 - u) * h + u * X[1]
    if cell == 'mlstm':
        m = X[0] * (h @ w['weight_hh'].t() + w.get('bias_hn', both[0]))
        mixed = (m @ w['weight_mixed'].t()).split(H, 1)
        return gates_of_lstm(*(X[k + 1] + mixed[k] + both[k + 1] for k in range(4)), state[:, H:])
    r, u = (torch.sigmoid(X[k] + y + both[k]) for k, y in enumerate((h @ w['weight_hh'].t()).split(H, 1)))
    n = torch.tanh(X[2] + (r * h) @ w['weight_mixed'].t() + both[2])
    return (1 - u) * n + u * h


def layer(cell, w, x, state):
    if cell in NN:
        return layer_of_torch(cell, w, x, state)
    y = []
    for t in range(T):
        state = step_by_hand(cell, w, x[t], state)
        y.append(state[:, :H])
    return torch.stack(y), state


def net_oracle(cell, layers, seed):
    draw, S = Draws(seed), CELLS[cell][4]
    biases = layers
    p = parameters(cell, layers, biases, draw)
    state = draw([layers, B, S * H])
    stream = words(seed + 1000)
    ids = torch.tensor([next(stream) % V for _ in range((T + 1) * B)]).reshape(T + 1, B)
    x, last = F.one_hot(ids[:T], V).double(), []
    for l in range(layers):
        mine = {name[4:].rsplit('_', 1)[0]: w for name, w in p.items() if name.endswith(f'_l{l}')}
        x, s = layer(cell, mine, x, state[l])
        last.append(s)
    logits = x @ p['decoder.weight'].t() + p['decoder.bias']
    loss = F.cross_entropy(logits.reshape(-1, V), ids[1:].reshape(-1))
    loss.backward()
    norm = torch.sqrt(sum((w.grad ** 2).sum() for w in p.values())).item()
    out = {'layers': layers, 'biases': biases, 'token': ids[:T], 'target': ids[1:], 'state': state, 'logits': logits,
           'loss': loss, 'grad_state': state.grad, 'last': torch.stack(last), 'norm': norm, 'clip': norm / 2,
           'params': p, 'grads': {name: w.grad.clone() for name, w in p.items()}}
    for rule in RULES if layers == 1 else ['adam']:
        after = {name: w.detach().clone().requires_grad_() for name, w in p.items()}
        for name, w in after.items():
            w.grad = out['grads'][name].clone()
        torch.nn.utils.clip_grad_norm_(after.values(), norm / 2)
        RULES[rule](after.values()).step()
        out[rule] = after
    return out


def cell_oracle():
    draw, I, H, B = Draws(11), 4, 5, 3
    W, b, x, h = draw([H, I + H]), draw([H]), draw([B, I]), draw([B, H])
    cotangent = draw([B, H]).detach()
    new = torch.tanh(torch.cat([x, h], 1) @ W.t() + b)
    new.backward(cotangent)
    return {'in': {'W': W, 'b': b, 'x': x, 'h': h}, 'out': {'h_new': new}, 'cotangent': {'h_new': cotangent},
            'grad': {'W': W.grad, 'b': b.grad, 'x': x.grad, 'h': h.grad}}


def prng_oracle(seed):
    stream = words(seed)
    w = [next(stream) for _ in range(4)]
    u = [(x >> 40) * 2.0 ** -24 for x in w]
    return {'u64_hex': [[x >> 32, x & 0xFFFFFFFF] for x in w], 'uniform24': u,
            'weights_k_1_16': [float(np.float32((2 * x - 1) / 16)) for x in u]}


def walk(name, x, out):
    if isinstance(x, dict):
        for key, value in x.items():
            walk(f'{name}.{key}', value, out)
    else:
        a = np.asarray(x.detach() if isinstance(x, torch.Tensor) else x)
        out[name] = {'shape': list(a.shape), 'data': [n if n % 1 else int(n) for n in a.reshape(-1).tolist()]}


def main():
    torch.set_num_threads(1)
    out = {}
    for seed in range(4):
        walk(f'prng.{seed}', prng_oracle(seed), out)
    walk('cell', cell_oracle(), out)
    for k, cell in enumerate(CELLS):
        for layers in 1, 2:
            walk(f'{cell}_L{layers}', net_oracle(cell, layers, 10 * k + layers), out)
    print('{')
    print(',\n'.join(f'"{name}": {json.dumps(out[name])}' for name in out))
    print('}')


main()
