"""An agent may open every address a text showed it, whatever brackets and stops the address has of its own."""

import pytest

from tests.fakes import PagesInMemory, Purse, ScriptedModel, page
from wideseek.messages import ToolCall
from wideseek.retrieval_tools import RetrievalTools
from wideseek.tools import Admitted


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("Look up Lumo (https://w.example/wiki/Lumo_(film)). Report.", "https://w.example/wiki/Lumo_(film)"),
        ("- [Lumo](https://w.example/wiki/Lumo_(film)): a note", "https://w.example/wiki/Lumo_(film)"),
        ("Look up Vics (https://w.example/wiki/Vics_F.C.). Report.", "https://w.example/wiki/Vics_F.C."),
        ("See https://w.example/wiki/Vics.", "https://w.example/wiki/Vics"),
        ("See https://w.example/wiki/Kesh's_mill, too.", "https://w.example/wiki/Kesh's_mill"),
        ("(see https://w.example/wiki/Vics)", "https://w.example/wiki/Vics"),
    ],
)
async def test_an_address_in_a_text_may_be_opened(text: str, url: str) -> None:
    tools = RetrievalTools(PagesInMemory([page(url, "Lumo", "A film.")]), ScriptedModel([]), Purse(), task=text)
    arguments = {"urls": [{"url": url}]}

    (admitted,) = tools.admit([ToolCall(name="access", arguments=arguments)])
    assert isinstance(admitted, Admitted)
    result = await tools.call(1, admitted, 1_000)

    assert result.content.endswith("A film.")


async def test_a_part_of_an_address_was_not_shown() -> None:
    task = "Look up Lumo (https://w.example/wiki/Lumo_(film)). Report."
    tools = RetrievalTools(PagesInMemory([]), ScriptedModel([]), Purse(), task=task)

    (admitted,) = tools.admit([ToolCall(name="access", arguments={"urls": [{"url": "https://w.example/wiki/Lumo"}]})])
    assert isinstance(admitted, Admitted)
    result = await tools.call(1, admitted, 1_000)

    assert "search first" in result.content
