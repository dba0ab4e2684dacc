"""Images in two and three dimensions, with classes, masks, or images to translate them to."""
