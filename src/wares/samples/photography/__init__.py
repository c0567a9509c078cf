"""Photos of items, as sellers take them: backdrop, sprites and props, camera.

To add a scene: a row of SCENES in `scenes`. To add a role of photos: `photo_shoot`.
"""
