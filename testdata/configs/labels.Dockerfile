FROM base
ENV WHO=world
LABEL plain=1 "quoted key"='single $WHO' double="double $WHO" empty= base=no
LABEL legacy several words \
      in two lines
LABEL escaped="a \"b\" \$WHO" multi="one \
two"
