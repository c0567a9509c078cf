"""A small renderer: shapes and paints to pixels."""
