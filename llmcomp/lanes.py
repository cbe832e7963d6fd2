"""Walks a schedule with a model and the coder: tokens of many lanes to payloads and back.

In: a model, its schedule and either the lanes' tokens or their payloads. Out: the other.
Encoding scores every (lane, window) in parallel; decoding steps all lanes at once. How the two come
to the same probabilities is an `Agreement`'s work; where nothing can bridge their numbers,
`encode_stepwise` takes the decoder's own steps. Online help, if wanted, improves on the agreed
probabilities: it walks all lanes in the decoder's order once everything is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from llmcomp.agreement import EXACT, Agreement, Reader
from llmcomp.coding.range_coder import PROBABILITY_BITS, Encoder, LaneDecoders, narrowing
from llmcomp.container import Lane
from llmcomp.decisions import NO_DECISIONS, Decisions, Survey, help_decisions, survey
from llmcomp.errors import MismatchError
from llmcomp.models.base import Float64Array, LanguageModel, Session, Tokens
from llmcomp.online import NO_HELP, OnlineHelp
from llmcomp.schedule import Schedule, Window
from llmcomp.steps import run
from llmcomp.tracing import LaneTrace

_BATCH_TOKENS = 4096  # positions scored at a time: bounds memory, and fills the matrix products
_CACHED_POSITIONS = 32_768  # of all lanes that step together: 410 MB in the embedded model


@dataclass(frozen=True, slots=True)
class EncodedLane:
    """One lane's payload and what it cost, in bits.

    Attributes:
        payload: the lane's bytes.
        ideal_bits: ``-log2 p`` of its tokens under the model.
        helped: whether online help had a part in it.
        help_bits: what that added to the ideal, below zero where it saved.
        spent_bits: what the coder spent, before rounding to whole bytes.
        agreement_bits: part of that which only makes two sides agree.
        trace: what the coder did, if that was asked for.
    """

    payload: bytes
    ideal_bits: float
    helped: bool
    help_bits: float
    spent_bits: float
    agreement_bits: float
    trace: LaneTrace | None


def encode(
    model: LanguageModel,
    lanes: Sequence[Tokens],
    schedule: Schedule,
    agreement: Agreement = EXACT,
    *,
    online: bool = False,
    trace: bool = False,
) -> Generator[int, None, list[EncodedLane]]:
    """Encodes lanes in one parallel pass.

    Args:
        model: the language model.
        lanes: int64[T] token ids of each lane.
        schedule: how windows move.
        agreement: how the decoder will come to the same probabilities.
        online: let online help have a part in all lanes, if together they get shorter by it.
        trace: record every step of the coder too; only where the agreement is `EXACT`.

    Yields:
        Tokens scored since the last yield.

    Returns:
        One `EncodedLane` each.

    Raises:
        ModelError: if the model's logits cannot be used.
    """
    decisions, surveys = yield from _asked(model, lanes, schedule, agreement, trace=trace)
    return _finish(model, lanes, schedule, decisions, surveys, online=online)


def _asked(
    model: LanguageModel,
    lanes: Sequence[Tokens],
    schedule: Schedule,
    agreement: Agreement,
    *,
    trace: bool,
) -> Generator[int, None, tuple[list[Decisions], list[Survey]]]:
    """Settles all lanes' decisions in one parallel pass, and surveys the lanes if asked to."""
    parts: list[list[Decisions]] = [[] for _ in lanes]
    views: list[list[Survey]] = [[] for _ in lanes]
    for lane, targets, logits in scored(model, lanes, schedule):
        parts[lane].append(agreement.ask(model.tree, logits, targets))
        if trace:
            views[lane].append(survey(model.tree, logits, targets))
        yield len(targets)
    settled = [_settled(agreement, found) for found in parts]
    if not trace:
        return settled, []
    nothing = survey(model.tree, np.zeros((0, len(model.tree.order))), np.zeros(0, np.int64))
    return settled, [_joined([nothing, *found]) for found in views]


def scored(
    model: LanguageModel, lanes: Sequence[Tokens], schedule: Schedule
) -> Iterator[tuple[int, Tokens, Float64Array]]:
    """Scores every lane in parallel, each lane's tokens in order, lanes in any.

    Yields:
        ``(lane, tokens int64[n], logits float64[n, V])``: the lane's next tokens and what the model
        said before each.
    """
    for batch in _batches(lanes, schedule, model.n_virtual_tokens):
        rows = _rows(model, lanes, batch)
        for row, first, logits in model.score(rows):
            lane, window = batch[row]
            # row position i predicts token context_start + i; context and padding are skipped
            skip = max(0, window.start - window.context_start - first)
            stop = min(len(logits), window.stop - window.context_start - first)
            if skip < stop:
                at = window.context_start + first
                yield lane, lanes[lane][at + skip : at + stop], logits[skip:stop]


def encode_stepwise(
    model: LanguageModel,
    lanes: Sequence[Tokens],
    schedule: Schedule,
    agreement: Agreement = EXACT,
    *,
    online: bool = False,
) -> Generator[int, None, list[EncodedLane]]:
    """Encodes lanes by the very steps that `decode_lanes` takes: as slow, and the same numbers.

    Args:
        model: the language model.
        lanes: int64[T] token ids of each lane.
        schedule: how windows move.
        agreement: as in `encode`.
        online: as in `encode`.

    Yields:
        Bytes encoded since the last yield.

    Returns:
        One `EncodedLane` each.

    Raises:
        ModelError: if the model's logits cannot be used.
    """
    due = _plain_lengths(model, lanes)
    decisions: list[list[Decisions]] = [[] for _ in lanes]
    for places in _together(model, due, schedule):
        group = [lanes[lane] for lane in places]
        parts = [decisions[lane] for lane in places]
        longest = max(map(len, group), default=0)
        known = np.zeros((len(group), longest), np.int64)
        for row, tokens in zip(known, group, strict=True):
            row[: len(tokens)] = tokens

        def choose(
            logits: Float64Array,
            alive: npt.NDArray[np.bool_],
            at: int,
            known: Tokens = known,
            parts: list[list[Decisions]] = parts,
        ) -> Tokens:
            for lane in np.flatnonzero(alive):
                here = slice(lane, lane + 1)
                parts[lane].append(agreement.ask(model.tree, logits[here], known[here, at]))
            return np.where(alive, known[:, at], 0)

        yield from _step_group(model, [due[lane] for lane in places], schedule, choose)
    settled = [_settled(agreement, found) for found in decisions]
    return _finish(model, lanes, schedule, settled, [], online=online)


def decode_lanes(
    model: LanguageModel,
    lanes: Sequence[Lane],
    schedule: Schedule,
    agreement: Agreement = EXACT,
    *,
    helped: bool = False,
    most_tokens: int | None = None,
    watch: Witness | None = None,
) -> Generator[int, None, list[Tokens]]:
    """Decodes lanes in lockstep through the cached pass.

    Args:
        model: the language model.
        lanes: payloads and the lengths they decode to.
        schedule: how windows move.
        agreement: how the encoder came to its probabilities.
        helped: whether online help had a part in it; then these must be all lanes of a segment.
        most_tokens: stop every lane there at the latest, even one that has run past its plain
            length; only a rehearsal of damage does.
        watch: sees every token as it is found, where there is but one lane.

    Yields:
        Bytes decoded since the last yield.

    Returns:
        int64[T] token ids of each lane.

    Raises:
        MismatchError: if a lane's tokens run past its plain length.
    """
    found: dict[int, Tokens] = {}
    due = [lane.plain_length for lane in lanes]
    help_ = _help(model, due) if helped else NO_HELP
    for places in _together(model, due, schedule):
        decoders = LaneDecoders([lanes[lane].payload for lane in places])
        reader = agreement.reader(model.tree, decoders, help_.group(places))

        def choose(
            logits: Float64Array, alive: npt.NDArray[np.bool_], _: int, reader: Reader = reader
        ) -> Tokens:
            tokens = reader.next(logits, alive)
            if watch is not None:
                watch.see(logits, tokens)
            return tokens

        lengths = [due[lane] for lane in places]
        group = yield from _step_group(model, lengths, schedule, choose, most_tokens)
        found |= zip(places, group, strict=True)
    return [found[lane] for lane in range(len(lanes))]


def _together(model: LanguageModel, due: Sequence[int], schedule: Schedule) -> list[list[int]]:
    """Groups lanes that step together: their caches have room in memory, and none waits long.

    A lane that is done stays in the batch, so a group's lanes differ by at most a factor of two in
    length: no blob can ask for more than twice the work of what it claims to hold.

    With exact logits and no online help it does not matter to the numbers who steps beside whom;
    for the rest encoder and decoder group alike, because nothing but the plain lengths ``due``
    counts.
    """
    groups: list[list[int]] = []
    room = 0
    for lane in sorted(range(len(due)), key=lambda lane: -due[lane]):
        if not room or 2 * due[lane] < due[groups[-1][0]]:
            groups.append([])
            # a token has at least one byte, so no lane has more tokens than bytes
            positions = model.n_virtual_tokens + min(schedule.window, max(1, due[lane]))
            room = max(1, _CACHED_POSITIONS // positions)
        groups[-1].append(lane)
        room -= 1
    return groups


def _step_group(
    model: LanguageModel,
    lengths_due: Sequence[int],
    schedule: Schedule,
    choose: Callable[[Float64Array, npt.NDArray[np.bool_], int], Tokens],
    most_tokens: int | None = None,
) -> Generator[int, None, list[Tokens]]:
    """Steps lanes together until each has its bytes; see `decode_lanes`.

    Args:
        model: the language model.
        lengths_due: bytes of each lane.
        schedule: how windows move.
        choose: gives the lanes' next tokens int64[L] from logits float64[L, V], the lanes that are
            alive and the number of tokens before; lanes that are done get 0 and stay in the batch.
        most_tokens: as in `decode_lanes`.
    """
    lengths = np.array([len(t) for t in model.tokenizer.token_bytes], np.int64)
    due = np.array(lengths_due, np.int64)
    done, counts = np.zeros_like(due), np.zeros_like(due)
    limit = int(due.max(initial=0)) if most_tokens is None else most_tokens
    history = np.zeros((len(due), min(limit, schedule.window)), np.int64)
    session: Session | None = None
    for window in schedule.windows(limit):
        if not (done < due).any():
            break
        if window.stop > history.shape[1]:
            history = np.concatenate([history, np.zeros_like(history)], axis=1)
        rows = _with_start(model, history[:, window.context_start : window.start])
        session = None  # lets go of the old window's cache before the new one is made
        session, logits = model.begin(rows, window.stop - window.context_start)
        for at in range(window.start, window.stop):
            alive = done < due
            tokens = choose(logits, alive, at)
            history[:, at] = tokens
            counts += alive
            fresh = np.where(alive, lengths[tokens], 0)
            done += fresh
            if (done > due).any() and most_tokens is None:
                lane = int(np.argmax(done > due))
                raise MismatchError(
                    f"a lane decodes to more than its {due[lane]} bytes: this machine's model "
                    "gives other numbers than the one that made the blob"
                )
            yield int(fresh.sum())
            if at + 1 == window.stop or not (done < due).any():
                break
            logits = session.step(tokens)
    return [history[lane, : counts[lane]] for lane in range(len(due))]


def record(
    model: LanguageModel,
    tokens: Sequence[Tokens],
    lanes: Sequence[Lane],
    schedule: Schedule,
    *,
    helped: bool = False,
) -> list[LaneTrace]:
    """Traces lanes that are decoded already, as a decoder finds them.

    Args:
        model: the language model, of profile ``fixed``.
        tokens: int64[T] token ids of each lane, at least one.
        lanes: payloads and the lengths they were to decode to.
        schedule: how windows move.
        helped: as in `decode_lanes`.
    """
    decisions, surveys = run(_asked(model, tokens, schedule, EXACT, trace=True))
    if helped:
        due = [lane.plain_length for lane in lanes]
        decisions, surveys = _helped(model, tokens, schedule, due, decisions, surveys)
    return [
        _trace(model, ids, found, view, lane.payload)
        for ids, lane, found, view in zip(tokens, lanes, decisions, surveys, strict=True)
    ]


class Witness:
    """Traces one lane while it is decoded, by a second walk of the coder that stays in step.

    Args:
        model: the language model, of profile ``fixed``.
        lane: the only lane of its segment.
        helped: as in `decode_lanes`.
    """

    def __init__(self, model: LanguageModel, lane: Lane, *, helped: bool) -> None:
        self._model, self._lane = model, lane
        help_ = _help(model, [lane.plain_length]) if helped else NO_HELP
        self._help, self._helped = help_.group([0]), helped
        self._encoder = Encoder()
        self._logits: list[Float64Array] = []
        self._tokens: list[int] = []

    def __len__(self) -> int:
        """Tokens seen since the last `piece`."""
        return len(self._tokens)

    def see(self, logits: Float64Array, tokens: Tokens) -> None:
        """Takes in the next token.

        Args:
            logits: float64[1, V], what the model said before it.
            tokens: int64[1], its id.
        """
        self._logits.append(logits[0].copy())
        self._tokens.append(int(tokens[0]))

    def piece(self) -> LaneTrace:
        """Returns the trace of the tokens seen since the last call; at least one."""
        ids, logits = np.array(self._tokens, np.int64), np.stack(self._logits)
        self._logits, self._tokens = [], []
        tree = self._model.tree
        decisions = EXACT.settle([EXACT.ask(tree, logits, ids)])
        view = survey(tree, logits, ids)
        if self._helped:
            (decisions,), (view,) = help_decisions(tree, self._help, [ids], [decisions], [view])
        return _trace(self._model, ids, decisions, view, self._lane.payload, self._encoder)


def _batches(
    lanes: Sequence[Tokens], schedule: Schedule, n_virtual_tokens: int
) -> Iterator[list[tuple[int, Window]]]:
    """Groups all (lane, window) rows by length, so that little is padded.

    Rows of one lane stay in order because a lane's windows only shorten at its end.
    """
    rows = [
        (lane, window)
        for lane, tokens in enumerate(lanes)
        for window in schedule.windows(len(tokens))
    ]
    rows.sort(key=lambda row: (row[1].start, row[1].context_start - row[1].stop))
    batch: list[tuple[int, Window]] = []
    for row in rows:
        longest = n_virtual_tokens + max(w.stop - w.context_start for _, w in [*batch, row])
        if batch and longest * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _rows(
    model: LanguageModel, lanes: Sequence[Tokens], batch: Sequence[tuple[int, Window]]
) -> Tokens:
    """Lays out what each window's row feeds the model; padding after a row's end is never seen."""
    longest = max(w.stop - w.context_start for _, w in batch)
    rows = np.zeros((len(batch), longest), np.int64)
    rows[:, 0] = model.start_token
    for row, (lane, w) in zip(rows, batch, strict=True):
        row[1 : w.stop - w.context_start] = lanes[lane][w.context_start : w.stop - 1]
    return rows


def _with_start(model: LanguageModel, context: Tokens) -> Tokens:
    """Puts the start token before every row of int64[B, T]."""
    start = np.full((len(context), 1), model.start_token, np.int64)
    return np.concatenate([start, context], axis=1)


def _plain_lengths(model: LanguageModel, lanes: Sequence[Tokens]) -> list[int]:
    """Counts the bytes of each lane."""
    table = model.tokenizer.token_bytes
    return [sum(len(table[i]) for i in tokens) for tokens in lanes]


def _settled(agreement: Agreement, parts: Sequence[Decisions]) -> Decisions:
    """Settles a lane's decisions; an empty lane has none."""
    return agreement.settle(parts) if parts else NO_DECISIONS


def _joined(parts: Sequence[Survey]) -> Survey:
    """Joins what was seen at consecutive places."""
    return Survey(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Survey)))


def _help(model: LanguageModel, due: Sequence[int]) -> OnlineHelp:
    return OnlineHelp.begin(model.tree.rank, model.tree.depth, model.tokenizer.token_bytes, due)


def _helped(
    model: LanguageModel,
    lanes: Sequence[Tokens],
    schedule: Schedule,
    due: Sequence[int],
    decisions: Sequence[Decisions],
    surveys: Sequence[Survey],
) -> tuple[list[Decisions], list[Survey]]:
    """Lets online help walk all lanes of a segment in the decoder's order.

    Where lanes were surveyed, their candidates' intervals change with the probabilities.
    """
    help_, found, views = _help(model, due), list(decisions), list(surveys)
    for places in _together(model, due, schedule):
        parts, seen = help_decisions(
            model.tree,
            help_.group(places),
            [lanes[place] for place in places],
            [found[place] for place in places],
            [views[place] for place in places] if views else [],
        )
        for place, part in zip(places, parts, strict=True):
            found[place] = part
        if views:
            for place, view in zip(places, seen, strict=True):
                views[place] = view
    return found, views


def _finish(
    model: LanguageModel,
    lanes: Sequence[Tokens],
    schedule: Schedule,
    decisions: Sequence[Decisions],
    surveys: Sequence[Survey],
    *,
    online: bool,
) -> list[EncodedLane]:
    """Codes a segment's lanes, helped if that is allowed and pays, and traces surveyed ones."""
    coded = [_coded(found) for found in decisions]
    if online:
        due = _plain_lengths(model, lanes)
        others, views = _helped(model, lanes, schedule, due, decisions, surveys)
        helped = [
            replace(_coded(other), helped=True, help_bits=_bits(other) - _bits(found))
            for other, found in zip(others, decisions, strict=True)
        ]
        if _payload_bytes(helped) < _payload_bytes(coded):
            coded, decisions, surveys = helped, others, views
    if not surveys:
        return coded
    return [
        replace(lane, trace=_trace(model, tokens, found, view, lane.payload))
        if len(tokens)
        else lane
        for lane, tokens, found, view in zip(coded, lanes, decisions, surveys, strict=True)
    ]


def _payload_bytes(lanes: Sequence[EncodedLane]) -> int:
    return sum(len(lane.payload) for lane in lanes)


def _coded(decisions: Decisions) -> EncodedLane:
    """Codes a lane's decisions, as the model alone."""
    encoder = Encoder()
    encoder.push(decisions.p0, decisions.answers)
    spent, ideal = encoder.spent_bits, float(decisions.ideal_bits.sum())
    return EncodedLane(encoder.finish(), ideal, False, 0.0, spent, _agreement_bits(decisions), None)


def _bits(decisions: Decisions) -> float:
    """What decisions cost at their probabilities."""
    share = decisions.p0 / (1 << PROBABILITY_BITS)
    return float(-np.log2(np.where(decisions.answers, 1.0 - share, share)).sum())


def _agreement_bits(decisions: Decisions) -> float:
    """Bits of the decisions that belong to no node of the tree."""
    extra = decisions.nodes < 0
    return _bits(replace(decisions, p0=decisions.p0[extra], answers=decisions.answers[extra]))


def _trace(
    model: LanguageModel,
    tokens: Tokens,
    decisions: Decisions,
    view: Survey,
    payload: bytes,
    encoder: Encoder | None = None,
) -> LaneTrace:
    """Codes a lane, or its next tokens, again and gathers what the coder did, token by token."""
    registers = (encoder or Encoder()).push_recorded(decisions.p0, decisions.answers)
    first = np.cumsum(decisions.counts) - decisions.counts
    last = first + decisions.counts - 1
    offset, share = narrowing(decisions.counts, registers)
    table = model.tokenizer.token_bytes
    return LaneTrace(
        ids=tokens,
        lengths=np.array([len(table[i]) for i in tokens]),
        ideal_bits=decisions.ideal_bits,
        cost_bits=-np.log2(share),
        entropy_bits=view.entropy_bits,
        ranks=view.ranks,
        offset=offset,
        share=share,
        out=registers.out[last],
        low=registers.low[last],
        width=registers.width[last],
        pending=registers.pending[last],
        carried=np.maximum.reduceat(registers.carried, first),
        candidates=view.candidates,
        candidate_offset=view.offset,
        candidate_share=view.share,
        n_decisions=decisions.counts,
        decision_share=registers.share,
        answers=decisions.answers,
        pivots=model.tree.order[model.tree.cut[decisions.nodes]],
        text=model.tokenizer.decode(tokens),
        payload=payload,
    )
