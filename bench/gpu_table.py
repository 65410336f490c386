#!/usr/bin/env python3
"""Markdown tables out of the rows of bench/gpu.sh (JSON lines: FILE, or stdin); Python's standard library only.

    python3 bench/gpu_table.py results.jsonl

The order of the lines does not matter: rows carry their number in "row". A line that is no JSON object (a run that was cut off)
is left out and told on stderr. A row with "error" or "skipped" has no result: it is listed with its reason. What a row may hold:
bench/README.md.
"""
import json
import math
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gpu_model

KNOWN = ("prediction", "identify", "tests", "sanitize", "micro", "tier1", "train", "tier2")
OURS = "bptt:"
CONTESTANTS = ("bptt:cuda", "bptt:cuda:never", "cudnn:standard", "cudnn:small", "cudnn:static", "cudnn:dynamic", "torch")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
# What a quantity may be called, and what turns it into ours.
NAMES = {
    "us": (("us", 1.0), ("us_median", 1.0), ("median_us", 1.0), ("ms", 1e3), ("ms_per_step", 1e3), ("ms_median", 1e3)),
    "us_q1": (("us_q1", 1.0), ("q1_us", 1.0), ("ms_q1", 1e3)),
    "us_q3": (("us_q3", 1.0), ("q3_us", 1.0), ("ms_q3", 1e3)),
    "deviation": (("deviation", 1.0), ("max_error", 1.0), ("relative_error", 1.0), ("error", 1.0)),
    "model": (("model_us", 1.0),),
}
SIZES = (("hidden", "H"), ("layers", "L"), ("batch", "B"), ("steps", "T"))
# A row of bptt_layers holds several times: kind, the time's name, the deviations that go with it.
KINDS = ("forward", "fwd+bwd")
TIMED = (("forward", "forward", ("error_y",)), ("fwd+bwd", "both", ("error_dx", "error_dw")), ("data", "data", ()),
         ("weights", "weights", ()))


def number(value):
    """A finite number, else None: true is none, nor is NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def quantity(row, what):
    for name, scale in NAMES[what]:
        value = number(row.get(name))
        if value is not None:
            return value * scale
    return None


def text(value):
    """What fits a table's cell."""
    if isinstance(value, float):
        value = f"{value:.6g}"
    return " ".join(str(value).replace("|", "/").split())


def read(lines):
    """The rows, in the order they were written in, whatever order they lie in."""
    rows = []
    for n, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            row = line
        if isinstance(row, dict):
            rows.append(row)
        elif row is not None:
            print(f"gpu_table.py: line {n} is no JSON object: left out", file=sys.stderr)
    return sorted(rows, key=lambda r: (number(r.get("row")) or 0.0, json.dumps(r, sort_keys=True)))


def reason(row):
    """Why a row has no result; None if it has one. An "error" that is a number is a deviation."""
    for key, word in (("error", ""), ("skipped", "skipped: ")):
        value = row.get(key)
        if isinstance(value, str) or (value and not isinstance(value, (int, float))):
            return word + (text(value) or "no reason given")
    return None


def table(head, lines):
    if lines:
        print("| " + " | ".join(head) + " |")
        print("|" + "---|" * len(head))
        for line in lines:
            print("| " + " | ".join(text(cell) for cell in line) + " |")
        print()


def single(row):
    """Rows of one time each out of a row of bptt_layers or of torch_layers.py; any other row as it is."""
    there = [t for t in TIMED if number(row.get("ms_" + t[1])) is not None]
    if reason(row) and "ms_forward" in row:
        return [dict(row, kind="forward")]
    if reason(row) or not there:
        return [row]
    who = contestant(row)
    if row.get("kind") in ("graph", "eager") and not who.startswith(("bptt:", "cudnn:")):
        who = f"{who}:{row['kind']}"
    rows = []
    for kind, name, deviations in there:
        off = [number(row.get(d)) for d in deviations]
        one = dict(row, kind=kind, contestant=who, ms=row["ms_" + name], ms_q1=row.get(f"ms_{name}_q1"),
                   ms_q3=row.get(f"ms_{name}_q3"), repeats=row.get("same") if deviations else None)
        if off and None not in off:
            one["deviation"] = max(off)
        if number(row.get("model_ms_" + name)) is not None:
            one["model_us"] = 1e3 * number(row["model_ms_" + name])
        rows.append(one)
    return rows


def section(title):
    print(f"## {title}\n")


def without_result(rows, label):
    """A list of the rows that have a reason instead of a result; a reason that many have stands once."""
    have = {}
    for r in rows:
        if reason(r):
            have.setdefault(reason(r), []).append(label(r))
    lines = [f"- {who[0]}: {why}" if len(who) == 1 else f"- {why}: {'; '.join(who)}" for why, who in have.items()]
    if lines:
        print("\n".join(["Without a result:", ""] + lines) + "\n")


def name_of(row):
    return text(row.get("name") or row.get("command") or row.get("part") or "a row")


# ---- parts that are lists -------------------------------------------------------------------------

def show_prediction(rows):
    section("Prediction")
    for r in rows:
        for line in str(r.get("text") or reason(r) or "").splitlines():
            print(("> " + line).rstrip())
    print()


def show_identify(rows):
    section("Machine")
    table(("what", "value"), [(name_of(r), f"{text(r.get('value', ''))} {text(r.get('unit', ''))}".strip())
                              for r in rows if not reason(r)])
    without_result(rows, name_of)


def show_tests(rows):
    section("Tests")
    done = [r for r in rows if "name" in r and not reason(r)]
    passed = sum(r.get("result") == "passed" for r in done)
    print(f"{passed} of {len(done)} passed.\n")
    table(("test", "result", "s"), [(name_of(r), r.get("result", "unknown"), r.get("seconds", ""))
                                    for r in done if r.get("result") != "passed"])
    without_result(rows, name_of)


def show_sanitize(rows):
    section("Sanitizers")
    table(("tool", "program", "result", "s"), [(r.get("tool", ""), name_of(r), r.get("result", "unknown"), r.get("seconds", ""))
                                               for r in rows if not reason(r)])
    without_result(rows, lambda r: f"{text(r.get('tool', ''))} {name_of(r)}".strip())


def show_micro(rows):
    section("Micro-benchmarks")
    done = [r for r in rows if not reason(r) and number(r.get("value")) is not None]
    table(("what", "value", "unit"), [(name_of(r), f"{number(r['value']):.4g}", r.get("unit", "")) for r in done])
    without_result([r if reason(r) else dict(r, error="no number") for r in rows if r not in done], name_of)


# ---- layers ---------------------------------------------------------------------------------------

def shape_of(row):
    """(kind, cell, H, L, B, T, precision); None if a size is missing."""
    size = [number(row.get(short, row.get(long))) for long, short in SIZES]
    if None in size or max(size) > 1e9:
        return None
    kind = row.get("kind") or row.get("what") or "forward"
    return (text(kind), text(row.get("cell", "tanh")), *map(int, size), text(row.get("precision", "fp32")))


def contestant(row):
    return text(row.get("contestant") or row.get("peer") or row.get("backend") or "unknown")


def place(names, one):
    """For sorting: after the longest of the names that it starts with, as cudnn:small:graph does; strangers last."""
    known = [name for name in names if one == name or one.startswith(name + ":")]
    return (names.index(max(known, key=len)), one) if known else (len(names), one)


def shape_order(shape):
    kind, cell, H, L, B, T, precision = shape
    return (kind, cell, L, H, B, T, place(PRECISIONS, precision))


def shape_words(shape):
    _, cell, H, L, B, T, precision = shape
    return f"{cell} H={H} L={L} B={B} T={T} {precision}"


def layer_label(row):
    shape = shape_of(row)
    return f"{contestant(row)}, {shape[0]} {shape_words(shape)}" if shape and contestant(row) != "unknown" else name_of(row)


def columns(cells):
    return sorted({who for cell in cells.values() for who in cell}, key=lambda who: place(CONTESTANTS, who))


def measured(rows):
    """{shape: {contestant: row}} of the rows with a time; the last of several."""
    cells = {}
    for r in rows:
        shape = shape_of(r)
        if shape and not reason(r) and (quantity(r, "us") or 0) > 0:
            cells.setdefault(shape, {})[contestant(r)] = r
    return cells


def time_cell(row):
    if row is None:
        return ""
    q1, q3 = quantity(row, "us_q1"), quantity(row, "us_q3")
    spread = "" if q1 is None or q3 is None else f" ({q1:.4g}..{q3:.4g})"
    return f"{quantity(row, 'us'):.4g}{spread}"


def ratios(shape, cell):
    """(best peer / best of ours, best of ours / the model of its row, / that of gpu_model) in words."""
    ours = [quantity(r, "us") for who, r in cell.items() if who.startswith(OURS)]
    peers = [quantity(r, "us") for who, r in cell.items() if not who.startswith(OURS)]
    given = [m for m in (quantity(r, "model") for r in cell.values()) if m and m > 0]
    persistent = gpu_model.microseconds(*shape)
    return (f"{min(peers) / min(ours):.2f}" if ours and peers else "",
            f"{min(ours) / min(given):.2f}" if ours and given else "",
            f"{min(ours) / persistent:.2f}" if ours and persistent else "")


def accuracy_cell(row):
    if row is None:
        return ""
    deviation, repeats = quantity(row, "deviation"), row.get("repeats", row.get("deterministic"))
    same = "same bits" if repeats is True else "OTHER BITS" if repeats is False else ""
    return " ".join(w for w in ("" if deviation is None else f"{deviation:.2g}", same) if w)


def show_layers(rows, title):
    section(title)
    rows = [one for row in rows for one in single(row)]
    cells = measured(rows)
    for kind in sorted({shape[0] for shape in cells}, key=lambda k: place(KINDS, k)):
        who = columns({s: found for s, found in cells.items() if s[0] == kind})
        shapes = sorted((s for s in cells if s[0] == kind), key=shape_order)
        print(f"{kind}: µs, median (quartiles); best peer / best of bptt: above 1, bptt is faster. Models: two kernels a step\n"
              "in a graph (plain), gpu_model.py (persistent).\n")
        table(("shape", *who, "best peer / bptt", "bptt / plain model", "bptt / persistent model"),
              [(shape_words(s), *(time_cell(cells[s].get(w)) for w in who), *ratios(s, cells[s])) for s in shapes])
        accurate = [s for s in shapes if any(accuracy_cell(r) for r in cells[s].values())]
        if accurate:
            print(f"{kind}: largest error beside double precision; whether a second run gave the same bits.\n")
        table(("shape", *who), [(shape_words(s), *(accuracy_cell(cells[s].get(w)) for w in who)) for s in accurate])
    show_slopes(cells, columns(cells))
    timeless = [r if reason(r) else dict(r, error="no time") for r in rows
                if reason(r) or not shape_of(r) or not (quantity(r, "us") or 0) > 0]
    without_result(timeless, layer_label)


def slope(points):
    """Least squares through (T, us): what one more time step takes."""
    n, sx, sy = len(points), sum(p[0] for p in points), sum(p[1] for p in points)
    return (n * sum(x * y for x, y in points) - sx * sy) / (n * sum(x * x for x, _ in points) - sx * sx)


def show_slopes(cells, who):
    lines = {}
    for (kind, cell, H, L, B, T, precision), found in cells.items():
        for w, r in found.items():
            lines.setdefault((kind, cell, H, L, B, 0, precision), {}).setdefault(w, []).append((T, quantity(r, "us")))
    rows = []
    for s in sorted(lines, key=shape_order):
        slopes = {w: slope(p) for w, p in lines[s].items() if len({T for T, _ in p}) > 2}
        if slopes:
            rows.append((s[0], shape_words(s).replace(" T=0", ""),
                         *(f"{slopes[w] / s[3]:.3g}" if w in slopes else "" for w in who)))
    if rows:
        print("Slope over T: µs that one more step of a layer takes.\n")
    table(("kind", "shape", *who), rows)


def show_train(rows):
    section("Training steps")
    done = [r for r in rows if not reason(r) and (quantity(r, "us") or 0) > 0]
    table(("shape", "contestant", "ms a step, median (quartiles)", "characters/s"),
          [(shape_words(s) if s else "unknown", contestant(r), train_time(r), speed(r, s))
           for r, s in sorted(((r, shape_of(r)) for r in done), key=train_order)])
    without_result([r if reason(r) else dict(r, error="no time") for r in rows if r not in done], layer_label)


def train_order(pair):
    row, shape = pair
    return (shape is None, shape_order(shape)[1:] if shape else (), contestant(row), number(row.get("row")) or 0.0)


def train_time(row):
    q1, q3 = quantity(row, "us_q1"), quantity(row, "us_q3")
    spread = "" if q1 is None or q3 is None else f" ({q1 / 1e3:.4g}..{q3 / 1e3:.4g})"
    return f"{quantity(row, 'us') / 1e3:.4g}{spread}"


def speed(row, shape):
    """B T over the time of a step: not what a row claims."""
    return f"{shape[4] * shape[5] / quantity(row, 'us') * 1e6:.4g}" if shape else ""


def show_others(rows):
    section("Other rows")
    for r in rows:
        print("    " + json.dumps(r, sort_keys=True, ensure_ascii=False))
    print()


def main():
    if len(sys.argv) > 2:
        sys.exit("usage: gpu_table.py [results.jsonl]")
    if len(sys.argv) == 2:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
            rows = read(f)
    else:
        rows = read(sys.stdin)
    show = {"prediction": show_prediction, "identify": show_identify, "tests": show_tests, "sanitize": show_sanitize,
            "micro": show_micro, "tier1": lambda r: show_layers(r, "Layers"), "train": show_train,
            "tier2": lambda r: show_layers(r, "More layers")}
    for part in KNOWN:
        found = [r for r in rows if r.get("part") == part]
        if found:
            show[part](found)
    others = [r for r in rows if r.get("part") not in KNOWN]
    if others:
        show_others(others)


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    main()
