"""Tables are read by people, or by programs, and say the same."""

import io

import numpy as np
import pandas as pd
import pytest

from pglab.results.tables import readable, to_csv, to_latex, to_markdown, write_table

ARMS = [f"env=cartpole,optimizer._target_=torch.optim.{name},weighting=rtg" for name in ("Adam", "SGD")]
FRAME = pd.DataFrame(
    {
        "arm": ARMS,
        "control": [None, ARMS[0]],
        "n": [8, 12000],
        "score": [166.6, -31.63],
        "low": [69.5, -35.43],
        "high": [263.7, -27.83],
        "p_holm": [np.nan, 0.00001],
        "share": [0.123456, 0.5],
        "share_low": [0.05, np.nan],
        "share_high": [0.25, np.nan],
        "paired": [True, False],
        "note": ["50 % & a|b", "x_y\n<z>"],
    }
)


def test_a_value_and_its_interval_are_rounded_together_and_arms_are_short():
    table = readable(FRAME)
    assert list(table.columns) == [
        *("arm", "control", "n", "score", "95 % interval of score", "p (Holm)"),
        *("share", "95 % interval of share", "paired", "note"),
    ]
    assert table.iloc[0].tolist() == [
        *("optimizer._target_=torch.optim.Adam", "–", "8", "167", "70 to 264", "–", "0.12", "0.05 to 0.25"),
        *("yes", "50 % & a|b"),
    ]
    assert table.iloc[1].tolist()[1:8] == [
        *("optimizer._target_=torch.optim.Adam", "12,000", "−31.6", "−35.4 to −27.8", "< .0001", "0.5", "–"),
    ]


def test_csv_keeps_every_digit_and_name():
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(to_csv(FRAME))), FRAME, check_exact=True)


def test_markdown_has_as_many_cells_in_every_row_and_says_what_all_arms_share():
    table, _, below = to_markdown(FRAME).partition("\n\n")
    lines = table.splitlines()
    assert len(lines) == 4
    assert {line.replace(r"\|", "").count("|") for line in lines} == {11}
    assert len({len(line) for line in lines}) == 1
    assert r"a\|b" in lines[2]
    assert r"x\_y \<z\>" in lines[3]
    assert r"optimizer.\_target\_=torch.optim.SGD" in lines[3]
    assert [cell[-1] for cell in lines[1].strip("|").split("|")] == list("--::::::--")
    assert below == "All arms: env=cartpole, weighting=rtg\n"


def test_latex_is_a_booktabs_tabular_with_nothing_unescaped():
    comment, begin, top, header, middle, *rows, bottom, end = to_latex(FRAME, interval="90 % interval").splitlines()
    assert comment == "% all arms: env=cartpole, weighting=rtg"
    assert (begin, end) == (r"\begin{tabular}{llrrrrrrll}", r"\end{tabular}")
    assert (top, middle, bottom) == (r"\toprule", r"\midrule", r"\bottomrule")
    assert r"90 \% interval of score" in header
    assert r"50 \% \& a$|$b" in rows[0]
    assert r"$-$31.6 & $-$35.4 to $-$27.8 & $<$ .0001 & 0.5 & --" in rows[1]
    for line in (header, *rows):
        assert line.endswith(r" \\")
        assert line.replace(r"\&", "").count("&") == 9
        assert line.isascii()


def test_the_ending_decides_what_is_written(tmp_path):
    for ending, write in ((".csv", to_csv), (".md", to_markdown), (".tex", to_latex)):
        path = write_table(FRAME, tmp_path / f"table{ending}")
        assert path.read_bytes().decode() == write(FRAME)


def test_another_ending_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"\.csv, \.md, \.tex"):
        write_table(FRAME, tmp_path / "table.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_table_without_arms_or_rows_is_a_table():
    assert to_markdown(pd.DataFrame({"factor": ["a"], "effect": [1.0]})).count("\n") == 3
    assert readable(FRAME.iloc[:0]).empty


def test_control_characters_in_names_and_texts_are_spelled_out():
    arms = ["weighting=\x1b[31mred\n", "weighting=$\\frac{1}$"]
    frame = pd.DataFrame({"arm": arms, "n": [1, 2], "note": ["\x1b]0;title\x07", "50 % of $x_1$"]})
    for text in (to_markdown(frame), to_latex(frame)):
        assert text.replace("\n", "").isprintable()
    latex = to_latex(frame)
    assert r"\$\textbackslash{}frac\{1\}\$" in latex
    assert r"\textbackslash{}x1b{[}31mred\textbackslash{}n" in latex
    assert r"50 \% of \$x\_1\$" in latex
    shared = to_latex(frame.assign(arm=["a=\n1,b=1", "a=\n1,b=2"]))
    assert shared.splitlines()[:2] == [r"% all arms: a=\n1", r"\begin{tabular}{lrl}"]


def test_an_interval_without_ends_is_a_cell():
    frame = pd.DataFrame({"difference": [1.5], "low": [-np.inf], "high": [np.inf], "p_bonferroni": [1.0]})
    assert readable(frame).iloc[0].tolist() == ["1.5", "−∞ to ∞", "1"]
    assert list(readable(frame, "simultaneous 95 % interval")) == [
        "difference",
        "simultaneous 95 % interval",
        "p (Bonferroni)",
    ]


def test_an_end_that_is_not_0_never_looks_like_it():
    frame = pd.DataFrame({"difference": [5.004, 5.0], "low": [0.004, 0.0], "high": [10.004, 10.0]})
    assert readable(frame).to_numpy().tolist() == [["5.004", "0.004 to 10.004"], ["5.0", "0.0 to 10.0"]]
