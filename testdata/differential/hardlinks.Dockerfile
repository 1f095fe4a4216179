FROM localhost/base:1
RUN mkdir /h && echo x > /h/a && ln /h/a /h/b && ln /h/a /h/c && ln -s b /h/soft
RUN rm /h/a
RUN echo y > /h/new && mv /h/soft /h/moved && mkdir /h/b2 && mv /h/new /h/b2/new
RUN rm -r /h/b2 && mkdir /h/b2 && touch /h/b2/other
