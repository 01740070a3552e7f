"""What the pages say is true where a machine can tell: plans validate, links lead somewhere, commands exist."""

import re
from pathlib import Path

import pytest

from kitsune.cli.main import COMMANDS
from kitsune.handlers.registry import load_handlers
from kitsune.planfile.loading import load_and_check
from kitsune.rollout.batches import split_into_batches

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("examples/**/*.md"),
        *REPOSITORY.glob("benchmarks/*.md"),
    ]
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_id(page):
    return str(page.relative_to(REPOSITORY))


def plans():
    for page in PAGES:
        for number, (language, text) in enumerate(BLOCK.findall(page.read_text())):
            if language in {"yaml", "json"} and re.search(r'^\s*"?servers"?:', text, re.MULTILINE):
                yield pytest.param(text, id=f"{page_id(page)}-{number}")


@pytest.fixture
def load(tmp_path):
    """Load a plan as the command line does."""

    def load_text(text):
        file = tmp_path / "plan.yaml"
        file.write_text(text)
        return load_and_check(str(file), load_handlers())

    return load_text


@pytest.mark.parametrize("text", list(plans()))
def test_a_plan_on_a_page_is_valid(text, load):
    loaded = load(text)
    unexpected = [
        text for text in loaded.checked.warnings if not text.startswith("cannot be undone")
    ]
    assert unexpected == []
    assert not loaded.checked.unknown_types


def test_there_are_plans_on_the_pages():
    assert len(list(plans())) >= 5


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def headings(page):
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_to_headings_find_them(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        assert anchor in headings(page.parent / target if target else page)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_on_a_page_exist(page):
    text = page.read_text()
    typed = [code for _, block in BLOCK.findall(text) for code in block.splitlines()]
    typed += re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    for code in typed:
        if found := re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*kitsune ([a-z][a-z-]+)", code):
            assert found[1] in COMMANDS, code


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_make_targets_on_a_page_exist(page):
    targets = set(
        re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    )
    assert {
        "demo",
        "test",
        "coverage",
        "test-long",
        "soak",
        "check",
        "format",
        "docs",
        "bench",
        "bench-large",
        "lock",
        "clean",
        "setup",
        "help",
    } == targets
    for code in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert code in targets, code


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_that_a_page_names_exist(page):
    named = re.findall(
        r"`((?:deploy|dev|tests|docs|examples|benchmarks|requirements)/[\w./*-]+)`",
        page.read_text(),
    )
    for path in named:
        if "<" not in path:
            assert list(REPOSITORY.glob(path.rstrip("/"))), path


@pytest.mark.parametrize(
    "package",
    sorted(
        path.name
        for path in (REPOSITORY / "src/kitsune").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    ),
)
def test_the_architecture_page_walks_through_every_package(package):
    assert f"`{package}`" in (REPOSITORY / "docs/architecture.md").read_text()


def test_the_example_of_batches_is_reckoned_right(load):
    text = next(text.values[0] for text in plans() if "strategies.md" in text.id)
    plan = load(text).plan
    sizes = [
        len(batch.servers) for batch in split_into_batches(plan.servers, plan.rollout_strategy)
    ]
    assert sizes == [1, 2, 4, 1]


def test_the_handler_of_the_guide_is_the_one_of_the_example():
    guide = (REPOSITORY / "docs/guides/custom-handlers.md").read_text()
    example = (REPOSITORY / "examples/02-custom-handler/kitsune_symlink.py").read_text()
    assert example in [text for language, text in BLOCK.findall(guide) if language == "python"]
