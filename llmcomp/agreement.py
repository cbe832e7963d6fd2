"""How two sides come to the same integer probabilities: exactly, or across a margin.

In: logits. Out: ``(p0, answer)`` pairs for the range coder, the same on both sides. `Exact` takes
logits that are the same to the bit. `Rulers` takes logits that are only nearly the same, as any
model's are in floating point, and needs one promise: that the two sides' log-odds of a decision
never lie further apart than a margin.

The idea: cut the axis of log-odds into bins and code every decision with its bin's probability.
Two sides agree unless a value lies so near a bin's edge that they see it on different sides. The
edges are marks on a *ruler*, and there are many rulers, each with its marks elsewhere. The encoder
knows all log-odds of a *block* of tokens beforehand, takes the first ruler whose marks none of them
comes near, and codes that ruler's number before the block::

    log-odds      . .    .   .      .  . .
    ruler 0    |    |    |x   |    |    |      x: too near a mark
    ruler 1   |    |    |    |    |    |       fits: number 1 is coded, then the block's decisions

With q the chance that a decision comes too near a mark, that takes about ``1.8 q`` bits a decision.
A flag before each decision that says "too near" [PMATIC] takes ``q log2(e / q)``, five to ten times
as much at the q that matter; so the marks can lie closer together, and the bins describe the
probabilities better.

Bins are equally wide in ``G(z)``, the integral of ``(p (1 - p))**(1/3)``, where both costs, of
rounding to the bin's middle and of coming too near its ends, are proportional to the same thing.
G runs from -B to B and is cut into 513 cells; a ruler's bins are so many cells wide, and where they
begin is pseudo-random, anew for each decision, so that no text can have a value on every ruler's
marks.

References:
    [PMATIC] Probability-matching arithmetic coding under numerical mismatch, arXiv:2601.10678.
    [Steele14] Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt

from llmcomp.coding.range_coder import PROBABILITY_BITS, LaneDecoders, decode_answer
from llmcomp.decisions import Decisions, DecisionTree, decide, decode
from llmcomp.errors import ModelError
from llmcomp.exact import exp_each
from llmcomp.kernel import kernel
from llmcomp.online import NO_HELP, OnlineHelp, learn, open_step, predict

__all__ = [
    "EXACT",
    "MARGINS",
    "Agreement",
    "Exact",
    "Path",
    "Reader",
    "Rulers",
    "UnsettledError",
    "margin_exponent",
    "margin_option",
    "walk",
]

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MARGINS = range(4, 31)
"""Margins are ``2**-exponent``."""

MAX_RULERS = 1 << 18
"""More are not tried: at the chances a block is made for, 60 are tried on average."""

_ONE = 1 << PROBABILITY_BITS
_FLOOR = -64.0  # below the largest logit: no mass is zero, and clipping moves no two sides apart
_SLACK = 1e-12  # for rounding in masses and log-odds

# z(j) in units of 2**-20 with G(z(j)) = j * B / 512 and B = G(infinity) = 2.649958125428175:
# G(z) is the incomplete beta integral of (t (1 - t))**(-2/3) from 1/2 to p(z). Literal, so that no
# two machines can compute them differently; `tests/test_agreement.py` computes them again.
_TABLE = """
    0 8615 17230 25845 34461 43077 51694 60311 68928 77547 86166 94787 103408 112031 120654 129280
    137906 146535 155164 163796 172429 181065 189702 198342 206984 215628 224275 232924 241575
    250230 258887 267547 276211 284877 293547 302220 310896 319576 328260 336947 345638 354333
    363032 371735 380442 389154 397870 406591 415316 424046 432781 441521 450266 459016 467771
    476531 485297 494069 502846 511629 520418 529213 538014 546821 555634 564454 573281 582113
    590953 599800 608653 617513 626381 635256 644138 653028 661925 670830 679743 688664 697592
    706529 715474 724428 733390 742360 751340 760328 769325 778331 787346 796370 805404 814448
    823501 832563 841636 850719 859811 868914 878028 887151 896286 905431 914587 923753 932931
    942120 951321 960533 969756 978991 988238 997497 1006768 1016051 1025347 1034655 1043975
    1053309 1062655 1072014 1081386 1090772 1100171 1109583 1119010 1128450 1137904 1147372
    1156854 1166350 1175862 1185387 1194928 1204483 1214054 1223640 1233241 1242857 1252490
    1262138 1271802 1281482 1291179 1300891 1310621 1320367 1330130 1339910 1349707 1359522
    1369354 1379203 1389071 1398957 1408860 1418782 1428723 1438682 1448660 1458656 1468672
    1478708 1488763 1498837 1508931 1519046 1529180 1539335 1549511 1559707 1569924 1580162
    1590422 1600703 1611005 1621329 1631676 1642045 1652436 1662849 1673286 1683745 1694228
    1704734 1715264 1725817 1736395 1746996 1757623 1768273 1778949 1789650 1800376 1811127
    1821904 1832708 1843537 1854393 1865275 1876184 1887120 1898084 1909075 1920093 1931140
    1942215 1953319 1964451 1975612 1986803 1998023 2009272 2020552 2031862 2043202 2054574
    2065976 2077409 2088874 2100371 2111900 2123462 2135056 2146683 2158343 2170037 2181765
    2193527 2205323 2217154 2229020 2240921 2252858 2264831 2276840 2288885 2300968 2313088
    2325245 2337440 2349674 2361946 2374256 2386606 2398996 2411426 2423896 2436406 2448958
    2461551 2474185 2486862 2499581 2512343 2525149 2537998 2550891 2563829 2576811 2589839
    2602913 2616032 2629199 2642412 2655672 2668981 2682337 2695743 2709197 2722702 2736256
    2749861 2763517 2777224 2790984 2804796 2818661 2832580 2846553 2860580 2874662 2888800
    2902995 2917246 2931554 2945920 2960344 2974827 2989370 3003973 3018637 3033362 3048149
    3062999 3077911 3092888 3107929 3123035 3138207 3153446 3168752 3184125 3199567 3215079
    3230660 3246312 3262036 3277831 3293700 3309643 3325660 3341752 3357921 3374166 3390489
    3406891 3423373 3439935 3456578 3473303 3490111 3507004 3523981 3541045 3558195 3575433
    3592760 3610176 3627684 3645284 3662977 3680763 3698646 3716624 3734700 3752875 3771149
    3789525 3808003 3826584 3845270 3864063 3882962 3901970 3921089 3940319 3959661 3979118
    3998691 4018381 4038189 4058118 4078169 4098343 4118642 4139068 4159623 4180307 4201123
    4222074 4243159 4264382 4285744 4307248 4328894 4350686 4372625 4394713 4416953 4439347
    4461896 4484604 4507473 4530504 4553700 4577065 4600600 4624308 4648191 4672253 4696497
    4720924 4745538 4770342 4795339 4820532 4845925 4871520 4897321 4923331 4949555 4975994
    5002654 5029538 5056650 5083994 5111574 5139394 5167459 5195772 5224339 5253165 5282253
    5311609 5341239 5371146 5401337 5431818 5462593 5493669 5525052 5556747 5588762 5621103
    5653777 5686791 5720151 5753866 5787944 5822391 5857217 5892430 5928039 5964052 6000480
    6037332 6074617 6112348 6150533 6189185 6228315 6267936 6308059 6348698 6389867 6431579
    6473849 6516692 6560125 6604163 6648824 6694126 6740088 6786729 6834070 6882132 6930937
    6980510 7030874 7082056 7134082 7186981 7240783 7295520 7351224 7407930 7465675 7524499
    7584441 7645547 7707861 7771433 7836315 7902561 7970232 8039388 8110097 8182431 8256467
    8332285 8409974 8489630 8571354 8655256 8741457 8830085 8921281 9015200 9112007 9211888
    9315044 9421696 9532090 9646499 9765225 9888608 10017028 10150913 10290751 10437094 10590578
    10751935 10922019 11101826 11292537 11495560 11712594 11945719 12197513 12471228 12771049
    13102485 13472999 13893053 14377970 14951504 15653453 16558423 17833906 20014358
"""
_HALF_CELLS = [int(z) for z in _TABLE.split()]
_N_CELLS = len(_HALF_CELLS) + 1
EDGES = np.array(_HALF_CELLS[1::2], np.int64)
"""Cells' edges above 0 in ``2**-20``; log-odds 0, which ties have, lie inside a cell."""


def _probabilities() -> npt.NDArray[np.int32]:
    above = 1.0 / (1.0 + exp_each(np.array(_HALF_CELLS, np.float64) * -(2.0**-20)))
    upper = np.append(np.rint(above * _ONE).astype(np.int64), _ONE)
    return np.clip(np.append(_ONE - upper[:0:-1], upper), 1, _ONE - 1).astype(np.int32)


PROBABILITIES = _probabilities()
"""The probability of answer 0 at half cells -512 to 512, int32[1025] in ``2**-24``."""

# By margin from 2**-4 to 2**-30; see `Rulers.cells` and `Rulers.block`.
_CELLS = [119, 95, 75, 60, 47, 38, 30, 24, 19, 15, 12, 9, 7, 6, 5, *[4] * 12]
_BLOCKS = [10, 16, 25, 40, 62, 101, 159, 254, 403, 636, 1018, 1526, 2374, 4070, 6784, 10854]
_BLOCKS += [21708, 43417, *[65535] * 9]

# Counts behind the first estimate that a ruler fails: of ``exp(4)`` rulers one fits a whole
# block; below 2**-14 most lanes are shorter than a block.
_FAILED = [*[54] * 11, 40, 12, 4, *[1] * 13]
_FITTED = [*[1] * 15, 2, *[8] * 11]


class UnsettledError(ModelError):
    """No agreement is possible on these logits; the text has to be kept without the model."""


class Reader(Protocol):
    """The decoder's side: finds tokens of lanes that step together."""

    def next(self, logits: Float64Array, alive: npt.NDArray[np.bool_]) -> IntArray:
        """Decodes the next token of every living lane: float64[L, V] -> int64[L]; others get 0."""


class Agreement(Protocol):
    """How encoder and decoder come to the same probabilities."""

    def ask(
        self, tree: DecisionTree, logits: Float64Array, tokens: npt.NDArray[np.integer]
    ) -> Decisions:
        """Turns known tokens into decisions: float64[N, V] and int[N].

        Raises:
            UnsettledError: if the logits cannot be used.
        """

    def settle(self, parts: Sequence[Decisions]) -> Decisions:
        """Joins a lane's decisions and gives all of them their probabilities.

        Raises:
            UnsettledError: if that cannot be done.
        """

    def reader(
        self, tree: DecisionTree, lanes: LaneDecoders, help_: OnlineHelp = NO_HELP
    ) -> Reader:
        """Makes the decoder's side; help, if any, learns what it decodes."""


class Exact:
    """Both sides have the same logits to the bit."""

    def ask(
        self, tree: DecisionTree, logits: Float64Array, tokens: npt.NDArray[np.integer]
    ) -> Decisions:
        """Turns known tokens into decisions, probabilities included."""
        return decide(tree, logits, tokens)

    def settle(self, parts: Sequence[Decisions]) -> Decisions:
        """Joins a lane's decisions."""
        return _joined(parts)

    def reader(
        self, tree: DecisionTree, lanes: LaneDecoders, help_: OnlineHelp = NO_HELP
    ) -> Reader:
        """Makes the decoder's side; help, if any, learns what it decodes."""
        return _ExactReader(tree, lanes, help_)


EXACT = Exact()


@dataclass(frozen=True, slots=True)
class _ExactReader:
    tree: DecisionTree
    lanes: LaneDecoders
    help_: OnlineHelp

    def next(self, logits: Float64Array, alive: npt.NDArray[np.bool_]) -> IntArray:
        return decode(self.tree, logits, self.lanes, alive, self.help_)


@dataclass(frozen=True, slots=True)
class Rulers:
    """The sides' log-odds of any decision lie at most ``2**-exponent`` apart.

    If the sides' logits differ by d, their log-odds differ by at most ``max d - min d``.

    Attributes:
        exponent: one of `MARGINS`.

    Raises:
        ValueError: if it is not.
    """

    exponent: int

    def __post_init__(self) -> None:
        if self.exponent not in MARGINS:
            raise ValueError(
                f"margin 2**-{self.exponent}; wanted 2**-{MARGINS.stop - 1} to 2**-{MARGINS.start}"
            )

    @property
    def margin(self) -> float:
        """Largest difference of log-odds."""
        return 2.0**-self.exponent

    @property
    def cells(self) -> int:
        """Width of a bin.

        With w the width in G, rounding a value to the middle of its bin costs ``G' w**2 / 16.6``
        bits on average, and avoiding marks ``1.8 * 2 margin G' / w``; the sum is least at
        ``w**3 = 30 margin``.
        """
        return _CELLS[self.exponent - MARGINS.start]

    @property
    def block(self) -> int:
        """Tokens that share a ruler: so many that about one ruler in 55 fits them.

        A token's decisions have ``G'`` of 4 in all on ordinary text.
        """
        return _BLOCKS[self.exponent - MARGINS.start]

    @property
    def _prior(self) -> tuple[int, int]:
        """Rulers that failed and fitted, before any has."""
        rung = self.exponent - MARGINS.start
        return _FAILED[rung], _FITTED[rung]

    def ask(
        self, tree: DecisionTree, logits: Float64Array, tokens: npt.NDArray[np.integer]
    ) -> Decisions:
        """Turns known tokens into decisions; in place of a probability stand two cells.

        Raises:
            UnsettledError: if a logit is not finite.
        """
        path = walk(tree, logits, tokens)
        margin = self.margin * (1.0 + 1e-6) + _SLACK
        cells = cells_of(path.log_odds - margin) << 16 | cells_of(path.log_odds + margin)
        return Decisions(cells, path.answers, path.nodes, path.counts, path.ideal_bits)

    def settle(self, parts: Sequence[Decisions]) -> Decisions:
        """Chooses each block's ruler; its number stands before the block as decisions of no node.

        Raises:
            UnsettledError: if no ruler fits a block.
        """
        found = _joined(parts)
        counts = found.counts
        starts = np.append((np.cumsum(counts) - counts)[:: self.block], len(found.p0))
        rulers = np.zeros(len(starts) - 1, np.int64)
        fits = _choose(found.p0, starts, self.cells, MAX_RULERS, rulers, PROBABILITIES)
        if not fits:
            raise UnsettledError(
                f"no ruler fits a block of {self.block} tokens at a margin of 2**-{self.exponent}"
            )
        extra = rulers + 1
        failed = self._prior[0] + np.cumsum(rulers) - rulers
        p0 = np.repeat(_chance(failed, self._prior[1] + np.arange(len(rulers))), extra)
        answers = np.zeros(len(p0), np.uint8)
        answers[np.cumsum(extra) - 1] = 1
        at = np.repeat(starts[:-1], extra)
        counts = counts.copy()
        counts[:: self.block] += extra
        return Decisions(
            np.insert(found.p0, at, p0),
            np.insert(found.answers, at, answers),
            np.insert(found.nodes, at, -1),
            counts,
            found.ideal_bits,
        )

    def reader(
        self, tree: DecisionTree, lanes: LaneDecoders, help_: OnlineHelp = NO_HELP
    ) -> Reader:
        """Makes the decoder's side; help, if any, learns what it decodes."""
        state = np.zeros((len(lanes.start), _COLUMNS), np.int64)
        state[:, _N_FAILED], state[:, _N_FITTED] = self._prior
        return _RulerReader(tree, lanes, self.cells, self.block, state, help_)


@dataclass(frozen=True, slots=True)
class Path:
    """The ways of N tokens down the tree, K decisions in all.

    Attributes:
        log_odds: float64[K], of answer 0 against answer 1.
        answers: uint8[K].
        nodes: int32[K].
        counts: int64[N], decisions of each token.
        ideal_bits: float64[N], ``-log2 p`` of each token.
    """

    log_odds: Float64Array
    answers: npt.NDArray[np.uint8]
    nodes: npt.NDArray[np.int32]
    counts: IntArray
    ideal_bits: Float64Array


def walk(
    tree: DecisionTree, logits: npt.NDArray[np.floating], tokens: npt.NDArray[np.integer]
) -> Path:
    """Walks known tokens' paths.

    Args:
        tree: the model's tree.
        logits: float[N, V], one row for each token.
        tokens: int[N].

    Raises:
        UnsettledError: if a logit is not finite.
    """
    n = len(tokens)
    shape = (n, max(tree.depth, 1))
    z, ideal, counts = np.empty(shape), np.empty(n), np.empty(n, np.int64)
    answers, nodes = np.empty(shape, np.uint8), np.empty(shape, np.int32)
    finite = _walk(
        np.ascontiguousarray(logits, np.float64),
        tree.rank[np.asarray(tokens, np.int64)],
        tree.order,
        tree.cut,
        tree.left,
        tree.right,
        z,
        answers,
        nodes,
        counts,
        ideal,
    )
    if not finite:
        raise UnsettledError("the model's logits are not finite; take another dtype")
    used = np.arange(shape[1]) < counts[:, None]
    return Path(z[used], answers[used], nodes[used], counts, ideal)


def margin_exponent(margin: float) -> int:
    """Rounds a margin up to ``2**-exponent``.

    Raises:
        ValueError: if it is too large for any, or not positive.

    >>> margin_exponent(1e-4)
    13
    """
    if not 0.0 < margin <= 2.0**-MARGINS.start:
        raise ValueError(f"margin {margin}; wanted above 0, at most 2**-{MARGINS.start}")
    return min(int(np.floor(-np.log2(margin))), MARGINS.stop - 1)


def margin_option(exponent: int) -> str:
    """What to ask for on the command line to get a margin, with all its digits.

    >>> margin_option(13)  # six digits would be above it, and ask for the next wider one
    '--margin 0.0001220703125'
    """
    return f"--margin {2.0**-exponent!r}"


# State of a reader's lane: tokens left of its block, its ruler, the next decision's place in the
# block, and the counts behind the chance that a ruler fails.
_LEFT, _RULER, _PLACE, _N_FAILED, _N_FITTED, _COLUMNS = range(6)


@dataclass(frozen=True, slots=True)
class _RulerReader:
    tree: DecisionTree
    lanes: LaneDecoders
    cells: int
    block: int
    state: IntArray
    help_: OnlineHelp

    def next(self, logits: Float64Array, alive: npt.NDArray[np.bool_]) -> IntArray:
        tokens = np.zeros(len(alive), np.int64)
        _read(
            np.ascontiguousarray(logits, np.float64),
            self.tree.order,
            self.tree.cut,
            self.tree.left,
            self.tree.right,
            self.cells,
            self.block,
            self.lanes.state,
            self.lanes.data,
            self.lanes.start,
            self.lanes.stop,
            alive,
            self.state,
            tokens,
            EDGES,
            PROBABILITIES,
            self.help_,
        )
        learn(self.help_, tokens, alive)
        return tokens


def _joined(parts: Sequence[Decisions]) -> Decisions:
    """Joins the decisions of consecutive tokens."""
    names = [f.name for f in fields(Decisions)]
    return Decisions(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _chance(failed: IntArray, fitted: IntArray) -> IntArray:
    """Probability that a ruler does not fit, int64 in ``2**-24``."""
    return np.clip((failed << PROBABILITY_BITS) // (failed + fitted), 1, _ONE - 1)


@kernel
def _masses(logits, order, cuts, left, right, leaves, nodes):  # type: ignore[no-untyped-def]
    """Masses of one row, bottom-up: float64[V] by leaf and float64[V - 1] by node; their sum.

    Sums of sums lose nothing in small masses, as differences of a running sum would.
    """
    top = logits[order[0]]
    for leaf in range(len(order)):
        top = max(top, logits[order[leaf]])
    for leaf in range(len(order)):
        leaves[leaf] = np.exp(max(logits[order[leaf]] - top, _FLOOR))
    total = leaves[0]
    for node in range(len(cuts) - 1, -1, -1):  # children come after their parents
        total = _child(left[node], cuts[node] - 1, leaves, nodes)
        total += _child(right[node], cuts[node], leaves, nodes)
        nodes[node] = total
    return total


@kernel
def _child(node, leaf, leaves, nodes):  # type: ignore[no-untyped-def]
    return nodes[node] if node >= 0 else leaves[leaf]


@kernel
def _log_odds(node, cuts, left, right, leaves, nodes):  # type: ignore[no-untyped-def]
    before = _child(left[node], cuts[node] - 1, leaves, nodes)
    after = _child(right[node], cuts[node], leaves, nodes)
    return np.log(before / after)


def cells_of(log_odds: Float64Array) -> npt.NDArray[np.int32]:
    """Finds the cells that log-odds float64[K] lie in: int32[K], 0 to 512; 0 lies in 256."""
    beyond = np.searchsorted(EDGES, np.abs(log_odds) * (1 << 20), side="right")
    return (len(EDGES) + np.where(log_odds >= 0.0, beyond, -beyond)).astype(np.int32)


@kernel
def _cell(z, edges):  # type: ignore[no-untyped-def]
    """The cell that log-odds lie in: 0 to 512, with 0 in the middle of 256."""
    beyond = np.searchsorted(edges, abs(z) * (1 << 20), side="right")
    return len(edges) + (beyond if z >= 0.0 else -beyond)


@kernel
def _shift(ruler, place, cells):  # type: ignore[no-untyped-def]
    """Where a ruler's marks lie for one decision, 0 to cells - 1: SplitMix64 [Steele14]."""
    x = ((np.uint64(ruler) << np.uint64(32)) + np.uint64(place)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return np.int64(x >> np.uint64(40)) * cells >> 24


@kernel
def _agreed(cell, shift, cells, probabilities):  # type: ignore[no-untyped-def]
    """The probability in the middle of the bin that a cell belongs to."""
    n_half = len(probabilities) // 2
    begin = (cell + shift) // cells * cells - shift
    low = max(2 * begin - n_half - 1, -n_half)
    high = min(2 * (begin + cells) - n_half - 1, n_half)
    return probabilities[(low + high >> 1) + n_half]


@kernel
def _walk(  # type: ignore[no-untyped-def]
    logits, targets, order, cuts, left, right, log_odds, answers, nodes, counts, ideal
):
    vocabulary = len(order)
    leaf_masses, node_masses = np.empty(vocabulary), np.empty(max(vocabulary - 1, 1))
    for n in range(len(targets)):
        total = _masses(logits[n], order, cuts, left, right, leaf_masses, node_masses)
        if not np.isfinite(total):
            return False
        leaf, low, high, node, k = targets[n], 0, vocabulary, 0, 0
        while high - low > 1:
            log_odds[n, k] = _log_odds(node, cuts, left, right, leaf_masses, node_masses)
            nodes[n, k] = node
            if leaf < cuts[node]:
                answers[n, k] = 0
                high, node = cuts[node], left[node]
            else:
                answers[n, k] = 1
                low, node = cuts[node], right[node]
            k += 1
        counts[n], ideal[n] = k, np.log2(total / leaf_masses[leaf])
    return True


@kernel
def _choose(found, starts, cells, most, rulers, probabilities):  # type: ignore[no-untyped-def]
    """Finds each block's first ruler that fits and puts probabilities in the place of cells."""
    for block in range(len(rulers)):
        start, stop = starts[block], starts[block + 1]
        # only what may lie in two cells can come near a mark
        doubtful = np.empty(stop - start, np.int64)
        n_doubtful = 0
        for k in range(start, stop):
            if found[k] >> 16 != found[k] & 0xFFFF:
                doubtful[n_doubtful] = k
                n_doubtful += 1
        ruler, fits = 0, False
        while not fits:
            if ruler == most:
                return False
            fits = True
            for i in range(n_doubtful):
                k = doubtful[i]
                shift = _shift(ruler, k - start, cells)
                low, high = found[k] >> 16, found[k] & 0xFFFF
                if (low + shift) // cells != (high + shift) // cells:
                    fits, ruler = False, ruler + 1
                    break
        rulers[block] = ruler
        for k in range(start, stop):
            shift = _shift(ruler, k - start, cells)
            found[k] = _agreed(found[k] >> 16, shift, cells, probabilities)
    return True


@kernel
def _read(  # type: ignore[no-untyped-def]
    logits,
    order,
    cuts,
    left,
    right,
    cells,
    block,
    coder,
    data,
    start,
    stop,
    alive,
    state,
    tokens,
    edges,
    probabilities,
    help_,
):
    vocabulary = len(order)
    leaf_masses, node_masses = np.empty(vocabulary), np.empty(max(vocabulary - 1, 1))
    for lane in range(len(alive)):
        if not alive[lane]:
            continue
        _masses(logits[lane], order, cuts, left, right, leaf_masses, node_masses)
        s, read = state[lane], coder[lane]
        if s[_LEFT] == 0:
            failed = (s[_N_FAILED] << PROBABILITY_BITS) // (s[_N_FAILED] + s[_N_FITTED])
            failed, ruler = min(max(failed, 1), _ONE - 1), 0
            # a damaged lane may go on for ever
            while ruler < MAX_RULERS and not decode_answer(
                read, data, start[lane], stop[lane], failed
            ):
                ruler += 1
            s[_LEFT], s[_RULER], s[_PLACE] = block, ruler, 0
            s[_N_FAILED] += ruler
            s[_N_FITTED] += 1
        open_step(help_, lane)
        low, high, node = 0, vocabulary, 0
        while high - low > 1:
            z = _log_odds(node, cuts, left, right, leaf_masses, node_masses)
            shift = _shift(s[_RULER], s[_PLACE], cells)
            p0 = _agreed(_cell(z, edges), shift, cells, probabilities)
            p0 = predict(help_, lane, node, low, cuts[node], high, np.int64(p0))
            s[_PLACE] += 1
            if decode_answer(read, data, start[lane], stop[lane], p0) == 0:
                high, node = cuts[node], left[node]
            else:
                low, node = cuts[node], right[node]
        s[_LEFT] -= 1
        tokens[lane] = order[low]
