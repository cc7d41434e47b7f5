"""From folders of pictures to streams of pixels and labels."""
