"""Reports on generated images, translated images and masks."""
