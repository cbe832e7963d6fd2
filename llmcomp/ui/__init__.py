"""The demo page: only `layout`, `steer_page` and `widgets` know gradio."""
