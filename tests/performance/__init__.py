"""``make bench``: what the chassis costs beside raw loops of the same work, as ratios of one run."""
