"""The demo page: handlers and views know no gradio, only `layout` does."""
