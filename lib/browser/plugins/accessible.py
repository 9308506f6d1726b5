"""Tells those who do not see a page what its fields are: the templates that we take do not."""

from datasette import hookimpl
from jinja2.ext import Extension

_NAMED = {
    '<section class="content">': '<section class="content" role="main">',
    "<html>": '<html lang="en">',
    '<select id="{{ key }}"': '<select aria-label="{{ dfilter.name }}" id="{{ key }}"',
    '<input id="{{ key }}"': '<input aria-label="{{ dfilter.name }}" id="{{ key }}"',
    '<select name="_filter_column': '<select aria-label="column" name="_filter_column',
    '<select name="_filter_op': '<select aria-label="how it is compared" name="_filter_op',
    '<input type="text" name="_filter_value': '<input aria-label="value" type="text" '
    'name="_filter_value',
    '<select name="_sort': '<select aria-label="column to sort by" name="_sort',
    # what is wider than a window can be scrolled by keyboard
    '<div class="table-wrapper">': '<div class="table-wrapper" tabindex="0" role="region" '
    'aria-label="Table">',
}


class Names(Extension):
    """Gives the fields of templates names."""

    def preprocess(self, source, name, filename=None):
        for plain, named in _NAMED.items():
            source = source.replace(plain, named)
        return source


@hookimpl
def prepare_jinja2_environment(env):
    env.add_extension(Names)


@hookimpl
def extra_body_script():
    return """addEventListener("load", () => {
  for (const field of document.querySelectorAll(".CodeMirror textarea")) {
    field.setAttribute("aria-label", "SQL");
  }
});"""
