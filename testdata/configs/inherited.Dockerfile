# What only the base was (host name, image, container) goes; what it says stays.
FROM base
