#!/usr/bin/env python3
"""bench/gpu_table.py on rows that were made up (data/gpu_rows.jsonl): the table to the last byte, whatever the order of the
lines; lines that are cut off, numbers that are none, rows that lack anything never end it and never become a number.

    python3 tests/check_gpu_table.py [--update]      --update: writes data/gpu_table.md anew, to be read before it is kept
"""
import contextlib
import io
import json
import os
import random
import re
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import gpu_model
import gpu_table

ROWS, TABLE = os.path.join(HERE, "data", "gpu_rows.jsonl"), os.path.join(HERE, "data", "gpu_table.md")


def contents(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def table(lines):
    """(stdout, stderr) of the program on these lines."""
    out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin, sys.argv = io.StringIO("\n".join(lines)), ["gpu_table.py"]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            gpu_table.main()
    finally:
        sys.stdin = stdin
    return out.getvalue(), err.getvalue()


def layer(row, **members):
    return json.dumps(dict({"part": "tier1", "row": row, "kind": "forward", "cell": "tanh", "hidden": 512, "layers": 1,
                            "batch": 128, "steps": 100, "precision": "bf16", "contestant": "bptt:cuda", "us": 100}, **members))


class Table(unittest.TestCase):
    def setUp(self):
        self.lines = contents(ROWS).splitlines()

    def test_made_up_rows_give_the_recorded_table(self):
        self.maxDiff = None
        self.assertEqual(table(self.lines)[0], contents(TABLE))

    def test_the_order_of_the_lines_does_not_matter(self):
        for seed in range(20):
            random.Random(seed).shuffle(self.lines)
            self.assertEqual(table(self.lines)[0], contents(TABLE))

    def test_a_line_that_is_cut_off_anywhere_changes_nothing_and_is_told(self):
        whole, last = self.lines[:17], self.lines[17]
        want = table(whole)[0]
        for cut in range(1, len(last)):
            out, err = table(whole + [last[:cut]])
            self.assertEqual(out, want)
            self.assertEqual(err, "gpu_table.py: line 18 is no JSON object: left out\n")

    def test_a_run_that_ends_after_any_row_has_a_table_of_what_there_is(self):
        for n in range(len(self.lines)):
            self.assertEqual(table(self.lines[:n])[0].count("\n## ") + 1 if n else 0,
                             len({json.loads(x).get("part") for x in self.lines[:n] if x.endswith("}")} - {None, "tier9"})
                             + (n > 35))

    def test_what_is_no_number_is_never_shown_as_one(self):
        for us in ("NaN", "Infinity", "-Infinity", "-5", "0", "null", "true", '"12"', "[]", "1e999"):
            out = table([layer(1).replace('"us": 100', f'"us": {us}')])[0]
            self.assertIn("- bptt:cuda, forward tanh H=512 L=1 B=128 T=100 bf16: no time\n", out)
            self.assertNotIn("|", out)
        self.assertNotRegex(contents(TABLE), re.compile(r"\b(nan|inf)\b", re.I))

    def test_every_reason_and_every_skipped_row_is_told(self):
        out = table(self.lines)[0]
        for line in self.lines[:-1]:
            for key in ("error", "skipped"):
                if json.loads(line).get(key):
                    self.assertIn(json.loads(line)[key].replace("|", "/"), out)

    def test_a_reason_that_many_rows_have_stands_once_with_all_of_them(self):
        out = table([layer(n, contestant=f"cudnn:{n}", us=None, error="not supported") for n in (1, 2, 3)])[0]
        self.assertEqual(out.count("not supported"), 1)
        for n in (1, 2, 3):
            self.assertIn(f"cudnn:{n}, forward tanh H=512 L=1 B=128 T=100 bf16", out)

    def test_contestants_stand_in_one_order_ours_first(self):
        who = ("stranger", "cudnn:small:graph", "bptt:cuda:never", "torch:eager", "cudnn:small:eager", "bptt:cuda")
        self.assertIn("| shape | bptt:cuda | bptt:cuda:never | cudnn:small:eager | cudnn:small:graph | torch:eager | stranger |",
                      table([layer(n, contestant=w) for n, w in enumerate(who)])[0])

    def test_of_two_results_for_one_place_the_later_row_counts(self):
        two = [layer(2, us=222.5), layer(1, us=111.5)]
        for lines in (two, two[::-1]):
            self.assertIn("222.5", table(lines)[0])
            self.assertNotIn("111.5", table(lines)[0])

    def test_an_error_that_is_a_number_is_a_deviation(self):
        self.assertIn("| 0.0025 |", table([layer(1, error=0.0025)])[0])
        self.assertIn("| 100 |", table([layer(1, error=None)])[0])

    def test_the_ratio_is_of_the_best_peer_and_the_best_of_ours(self):
        lines = [layer(1, us=50), layer(2, us=40, contestant="bptt:cuda:never"), layer(3, us=100, contestant="cudnn:small"),
                 layer(4, us=80, contestant="cudnn:static", model_us=16)]
        self.assertIn("| 50 | 40 | 100 | 80 | 2.00 | 2.50 | ", table(lines)[0])

    def test_a_row_of_several_times_is_several_rows_and_its_own_deviation_goes_with_each(self):
        out = table([json.dumps({"part": "tier1", "contestant": "cudnn:small:graph", "cell": "gru", "precision": "fp16", "H": 2,
                                 "L": 3, "B": 4, "T": 5, "ms_forward": 0.5, "ms_both": 1.5, "ms_data": None, "error_y": 1e-3,
                                 "error_dx": 2e-3, "error_dw": 3e-3, "same": True, "error": None})])[0]
        self.assertEqual(re.findall(r"^\| gru H=2 L=3 B=4 T=5 fp16 \| (.*?) \|", out, re.M),
                         ["500", "0.001 same bits", "1500", "0.003 same bits"])
        self.assertNotIn("Without a result", out)

    def test_the_slope_is_of_three_lengths_at_least_and_of_one_layer(self):
        lines = [layer(T, steps=T, us=7 + 3 * T, layers=2) for T in (50, 100, 200)]
        self.assertIn("| forward | tanh H=512 L=2 B=128 bf16 | 1.5 |", table(lines)[0])
        self.assertNotIn("Slope", table(lines[:2])[0])

    def test_a_row_of_bptt_layers_is_one_of_forward_and_one_of_both(self):
        row = {"part": "tier1", "contestant": "cudnn:small:graph", "kind": "graph", "cell": "tanh", "precision": "bf16",
               "H": 512, "L": 1, "B": 128, "T": 100, "ms_forward": 0.25, "ms_forward_q1": 0.125, "ms_forward_q3": 0.5,
               "ms_both": 0.75, "ms_both_q1": 0.75, "ms_both_q3": 1.0, "error_y": 0.001, "error_dx": 0.002,
               "error_dw": 0.004, "same": True, "error": None}
        out = table([json.dumps(row), json.dumps(dict(row, contestant="torch", same=False))])[0]
        for line in ("| 250 (125..500) | 250 (125..500) |", "| 750 (750..1000) | 750 (750..1000) |",
                     "| 0.001 same bits | 0.001 OTHER BITS |", "| 0.004 same bits | 0.004 OTHER BITS |",
                     "| shape | cudnn:small:graph | torch:graph |"):
            self.assertIn(line, out)
        out = table([json.dumps(dict(row, ms_forward=None, ms_both=None, error="no such kernel"))])[0]
        self.assertIn("- cudnn:small:graph, forward tanh H=512 L=1 B=128 T=100 bf16: no such kernel\n", out)
        for key in row:
            for value in (None, True, "", [], {}, "NaN", 1e308):
                table([json.dumps(dict(row, **{key: value}))])

    def test_rows_that_lack_or_garble_anything_never_end_it(self):
        strange = (None, True, -1, 0, 1e308, 10 ** 400, "", "x|y\nz", "\ud800".encode("utf-8", "replace").decode(), [], {}, [1, {}])
        for line in self.lines[:-1]:
            row = json.loads(line)
            for key in row:
                table([json.dumps({k: v for k, v in row.items() if k != key})])
                for value in strange:
                    table([json.dumps(dict(row, **{key: value}))])
        for line in ("[]", "1", "null", '"x"', "{", "[" * 100000, "\x00", "{}"):
            table([line])


class Model(unittest.TestCase):
    def test_it_grows_with_every_size_and_knows_what_it_does_not_know(self):
        for p in ("fp32", "tf32", "bf16", "fp16"):
            base = dict(kind="forward", cell="tanh", H=256, L=1, B=32, T=100, precision=p)
            at = gpu_model.microseconds(**base)
            self.assertGreater(at, 0)
            self.assertAlmostEqual(gpu_model.microseconds(**dict(base, L=3)), 3 * at)
            for more in (dict(H=512), dict(L=2), dict(T=200), dict(B=2048), dict(cell="lstm"), dict(kind="fwd+bwd")):
                self.assertGreater(gpu_model.microseconds(**dict(base, **more)), at, (p, more))
        for less in (dict(precision="int8"), dict(cell="abacus"), dict(H=0), dict(kind="sideways")):
            self.assertIsNone(gpu_model.microseconds(**dict(base, **less)))

    def test_a_persistent_step_is_a_fraction_of_a_microsecond_where_one_block_does(self):
        step = gpu_model.step_clocks(128, 32, "bf16", 1) / gpu_model.MHZ
        self.assertTrue(0.13 < step < 0.15, step)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        with open(TABLE, "w", encoding="utf-8") as f:
            f.write(table(contents(ROWS).splitlines())[0])
    else:
        unittest.main()
