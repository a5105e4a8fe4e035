"""A page on which one moves a keypoint, gamma and the anchor, and sees what anchor loss does.

`scene` and `pictures` know nothing of the web; `loopback` keeps the rest of the world out; `page` needs the extra ``explore``.
"""
