#!/usr/bin/env python3
"""Cuts the tanh cell, the tanh nets and the SplitMix64 vectors out of a file of oracles computed by PyTorch 1.13 in
double, and writes them as tiny_rnn.json: one flat object, "name": {"shape": [..], "data": [..]}, numbers that read
back equal. 64-bit words are pairs of 32-bit halves, which a double holds exactly.

    cut_tiny_rnn.py tiny_oracles.json > tiny_rnn.json
"""
import json
import sys


def flat(x):
    return [v for y in x for v in flat(y)] if isinstance(x, list) else [x]


def shape(x):
    return [len(x)] + shape(x[0]) if isinstance(x, list) else []


def walk(name, x, out):
    if isinstance(x, dict):
        for key, value in x.items():
            walk(f'{name}.{key}', value, out)
    elif name.endswith('u64_hex'):
        out[name] = {'shape': [len(x), 2], 'data': [int(h, 16) for v in x for h in (v[:8], v[8:])]}
    else:
        out[name] = {'shape': shape(x), 'data': flat(x)}


def main():
    with open(sys.argv[1]) as f:
        oracles = json.load(f)
    out = {}
    walk('prng', oracles['prng'], out)
    walk('cell', oracles['cells']['rnn'], out)
    for net in 'rnn_L1', 'rnn_L2':
        walk(net, oracles['nets'][net], out)
    print('{')
    print(',\n'.join(f'"{name}": {json.dumps(out[name])}' for name in out))
    print('}')


main()
