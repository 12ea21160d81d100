from pathlib import Path

import pytest

from tests.containers.ml_tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty ML root with the description of a job of one instance."""
    (tmp_path / "ml").mkdir()
    tree = Tree(tmp_path / "ml")
    tree.configure()
    return tree
