"""A small renderer: layers and paints to pixels. It knows nothing of goods, and imports NumPy and Pillow alone.

To add a material's finish: a row of FINISHES in `paint`. To add a grain or a print: a row of GRAINS or PRINTS in
`textures`.
"""
