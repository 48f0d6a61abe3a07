"""Builds the documentation: ``python -m sphinx -W --keep-going -n -b html docs docs/_build/html``. Needs no network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "stskit"
author = "The stskit developers"
version = release = version_of("stskit")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # docstrings in Google style
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "doc_directives",
    "doc_docstrings",
    "doc_names",
]
exclude_patterns = ["_build", "_ext", "examples"]

highlight_language = "text"  # of blocks in docstrings that name no language
default_role = "name"  # of doc_names: a name in single backquotes in a docstring
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes as a list, because autodoc has no types for them there
copybutton_exclude = ".linenos, .gp, .go"  # prompts and output are not copied

autodoc_default_options = {"members": True, "no-value": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
nitpick_ignore = [  # the types that `snapshot` returns are not public
    ("py:class", f"stskit.sources.{name}")
    for name in ("proof_file.FileSnapshot", "saml_file.SavedResponse", "profile.ProfileSnapshot")
]
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

smartquotes = False  # text that you copy from a page keeps its characters

html_theme = "furo"
html_title = f"stskit {release}"
html_static_path = ["_static"]
html_css_files = ["stskit.css"]
html_copy_source = False
html_show_copyright = html_show_sphinx = False
