"""The shapes of all kinds of goods, as layers. It imports `wares.samples.drawing` alone; `registry` lists the kinds."""
