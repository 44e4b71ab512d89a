"""Making the tables of a run from its finished jobs, and its model."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from moodcurve.corpora.folder import Corpus
from moodcurve.reproduce.bundle import save_model
from moodcurve.reproduce.findings import Findings, Tables
from moodcurve.reproduce.further_tables import all_measures, lengths, nested, tests
from moodcurve.reproduce.label_tables import constant, partitions
from moodcurve.reproduce.paper_tables import search, table1, table2, table3
from moodcurve.reproduce.recipes import Recipe
from moodcurve.reproduce.split import Material, Split, pretraining_labels
from moodcurve.reproduce.systems import Results
from moodcurve.reproduce.tables import as_text, write_table


def write_tables(
    asked: Sequence[str],
    run: Path,
    corpus: Corpus,
    split: Split,
    material: Material | None,
    recipe: Recipe,
    full: Path | None,
) -> Iterator[str]:
    """Write the tables asked for to the folder of the run, and yield each one's text.

    With Table 2 the networks behind it are written as a model.
    """
    makers: dict[str, Callable[[], Tables]] = {
        "partitions": partial(partitions, split),
        "constant": partial(constant, split),
    }
    if material:
        found = Findings(Results(material, recipe, run), split, pretraining_labels(split, full))
        makers |= {
            "search": partial(search, found),
            "table1": partial(table1, found),
            "table2": partial(table2, found),
            "table3": partial(table3, found),
            "lengths": partial(lengths, found),
            "measures": partial(all_measures, found),
            "tests": partial(tests, found),
            "nested": partial(nested, found),
        }
    for name in asked:
        data, view = makers[name]()
        write_table(run, data, view)
        yield as_text(view)
        if name == "table2":
            save_model(found.fused, found.results, corpus.name, found.elm_figures(corpus.name))
