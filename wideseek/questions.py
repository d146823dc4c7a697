"""Answers to questions: read out of a box, held against the accepted spellings.

    normalise: lower case, ASCII punctuation deleted, the words a, an and the deleted, spaces collapsed
    EM = 1 when the tokens of the given answer are those of an accepted one
    F1 = 2PR / (P + R) with P = common / given and R = common / accepted, over token multisets
    both are the maximum over the accepted spellings

Source: SQuAD's evaluation script (arXiv:1606.05250, v1.1), which HybridQA's (arXiv:2004.07347) takes over;
neither treats yes and no apart, and neither do we. Deleting punctuation makes `199,951` and `199951` equal;
it also makes `78.7` and `787` equal, as in every published number of this metric. Chinese and Japanese have
no spaces between words: there each character is a token, and East Asian punctuation is deleted too, as in
CMRC 2018 (arXiv:1810.07366).
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

from wideseek.instances import Question
from wideseek.ports import AnswerPair, Judge
from wideseek.toolcalls import after_thinking
from wideseek.values import Frozen

NO_ANSWER = "no answer"
"""The problem of a response without a box, or with nothing in it."""

_BRACES = re.compile(r"\\boxed\s*\{|\\[{}]|[{}]")
_STYLED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox)\s*\{([^{}]*)\}")
_LAYERS = 4
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_EAST_ASIAN_PUNCTUATION = str.maketrans("", "", "，。、；：？！（）［］｛｝《》〈〉「」『』【】〔〕“”‘’…—～·・％")
_UNSPACED = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
"""A character of a script that is written without spaces: Han, Hiragana, Katakana."""


class AnswerScore(Frozen):
    """What an answer scores."""

    em: float = 0.0
    f1: float = 0.0
    judged: float | None = None
    """1 when the judge accepts it; None without a judge."""
    given: str = ""
    """The answer as read from the response."""
    problem: str = ""
    """`no answer`, or nothing."""


def boxed(text: str) -> str | None:
    r"""The content of the last closed `\boxed{…}` after the last `</think>`; None when there is none.

    Braces nest, an escaped one does not count. `\text{…}` and its like are unwrapped. A response that only
    says its answer in prose has given none: what it meant is not guessed.

    >>> boxed(r"It is \boxed{\text{Niamey}}.")
    'Niamey'
    """
    visible = after_thinking(text)
    openings: list[tuple[int, bool]] = []
    """Start of the content, and whether it is a box's."""
    last: tuple[int, int] | None = None
    for match in _BRACES.finditer(visible):
        mark = match.group()
        if mark.endswith("{") and mark != r"\{":
            openings.append((match.end(), mark.startswith(r"\boxed")))
        elif mark == "}" and openings:
            start, is_box = openings.pop()
            if is_box and (last is None or start > last[0]):
                last = (start, match.start())
    return None if last is None else _plain(visible[last[0] : last[1]])


def _plain(content: str) -> str:
    """The content without styling, innermost first, a few layers deep."""
    for _ in range(_LAYERS):
        content = _STYLED.sub(r"\1", content)
    return content.strip()


def normalise_answer(text: str) -> str:
    """The text as it is compared.

    >>> normalise_answer("The  Eye Network.")
    'eye network'
    """
    if _UNSPACED.search(text):
        text = text.translate(_EAST_ASIAN_PUNCTUATION)
    without_marks = text.lower().translate(_ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_marks).split())


def _tokens(text: str) -> list[str]:
    """Words, and single characters where there are no spaces.

    A text of which normalising leaves nothing (`A`, `%`) stands for itself: else any two of them were equal.
    """
    words = normalise_answer(text) or text.lower()
    return _UNSPACED.sub(r" \g<0> ", words).split()


def exact_match(given: str, accepted: Sequence[str]) -> float:
    """1 when the answer is an accepted one in its normal form, else 0."""
    tokens = _tokens(given)
    return float(any(tokens == _tokens(answer) for answer in accepted))


def multiset_f1(given: str, accepted: Sequence[str]) -> float:
    """Token overlap with the accepted answer that is nearest, in [0, 1]; 0 when none is accepted."""
    tokens = _tokens(given)
    return max((_overlap(tokens, _tokens(answer)) for answer in accepted), default=0.0)


def _overlap(given: Sequence[str], accepted: Sequence[str]) -> float:
    if not given or not accepted:
        return float(given == accepted)
    common = (Counter(given) & Counter(accepted)).total()
    return 2 * common / (len(given) + len(accepted))


async def score_answer(response_text: str, question: Question, judge: Judge | None) -> AnswerScore:
    """What a response scores on a question; without an answer 0, which no judge is asked about.

    Raises `JudgeUnavailable` when the judge is down.
    """
    given = boxed(response_text)
    if not given:
        return AnswerScore(judged=None if judge is None else 0.0, problem=NO_ANSWER)
    judged: float | None = None
    if judge is not None:
        pair = AnswerPair(question=question.question, given=given, accepted=question.answers)
        judged = float(await judge.judge_answer(pair))
    return AnswerScore(
        em=exact_match(given, question.answers),
        f1=multiset_f1(given, question.answers),
        judged=judged,
        given=given,
    )
