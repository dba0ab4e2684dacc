"""Images and volumes with classes, masks, or target images."""
