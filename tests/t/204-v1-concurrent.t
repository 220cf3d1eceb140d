# A hundred images pushed by eight clients at once, all to the same repositories and some by two of them, twenty broken
# off at random points and repeated: in the end all are complete, and none was ever half visible.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Connection ();
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start(args => [ '--lease', '1h' ]);
my $CLIENTS  = 8;

# Twenty chains of five, on four bases that they share.
my @bases  = map { [ random_chain(2, size => 2000) ] } 1 .. 4;
my @chains;
for my $i (0 .. 19) {
    my $chain = [ @{ $bases[ $i % 4 ] } ];
    push @$chain, random_image($chain->[-1]{id}, size => 1 + int rand 60_000) for 1 .. 5;
    push @chains, $chain;
}

# Sends the layer in part, and hangs up.
sub break_layer ($image, $part) {
    my $connection = $registry->connect // return;
    my $piece = substr $image->{layer}, 0, int(length($image->{layer}) * $part);
    $connection->send("PUT /v1/images/$image->{id}/layer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            . sprintf("%x\r\n", length $image->{layer}) . $piece);
    $connection->close;
    return;
}

# One image, begun and left at a random point. What of it could be seen then, that shouldn't be?
sub break_off ($v1, $image) {
    my $point = int rand 4;
    $v1->put_json($image) if $point > 0;
    break_layer($image, rand) if $point == 1;
    $v1->put_layer($image) if $point == 2;
    if ($point == 3) {
        $v1->put_layer($image);
        $v1->put_checksum($image, payload => 'sha256:' . '0' x 64);
    }
    my $seen = $v1->get_json($image->{id})->status;
    return $point == 2 || $seen == 404 ? () : "half visible after breaking off at $point";
}

# Pushes a chain as docker does. 409 says that somebody else was faster; 503 with Retry-After: again.
sub push_chain ($v1, $chain, $repository, $tag) {
    my @wrong;
    for my $image (@$chain) {
        my $there = $v1->get_json($image->{id});
        if ($there->status == 200) {
            push @wrong, "$image->{id}: other JSON" if $there->content ne $image->{json};
            next;
        }
        for my $step ($v1->push_image($image)) {
            my $status = $step->[1]->status;
            push @wrong, "$step->[0]: " . $step->[1]->describe if $status != 200 && $status != 409;
        }
    }
    my $tagged = $v1->put_tag($repository, $tag, $chain->[-1]{id});
    push @wrong, 'PUT tag: ' . $tagged->describe if $tagged->status != 200;
    return @wrong;
}

# Each chain is pushed by two clients, in another order; each client breaks off some of it first.
my @answers = in_parallel($CLIENTS, 240, sub ($client) {
    my $v1 = Registry::V1->new($registry, token => '');
    my ($broken, @wrong) = (0);
    my @mine = grep { $_ % 4 == $client % 4 } 0 .. $#chains;
    @mine = reverse @mine if $client >= 4;
    for my $i (@mine) {
        my $chain = $chains[$i];
        if ($client < 4 && $broken < 5) {
            # an image of its own, whose parent is there or not
            my $parent = $v1->get_json($chain->[1]{id})->status == 200 ? $chain->[1]{id} : undef;
            my $own    = random_image($parent, size => 20_000);
            push @wrong, break_off($v1, $own);
            push @wrong, push_chain($v1, [$own], 'broken/off', "c$client-$i");
            $broken++;
        }
        push @wrong, push_chain($v1, $chain, 'many/layers', "t$i");
    }
    return { broken => $broken, wrong => \@wrong };
});

is(scalar(grep { defined } @answers), $CLIENTS, 'all clients came to their end');
my @wrong = map { @{ $_->{wrong} } } grep { defined } @answers;
ok(!@wrong, 'each step had its answer') or diag(@wrong[0 .. ($#wrong < 5 ? $#wrong : 5)]);
my $broken = 0;
$broken += $_->{broken} for grep { defined } @answers;
is($broken, 20, 'twenty were broken off');

my $v1     = Registry::V1->new($registry);
my %images = map { $_->{id} => $_ } map { @$_ } @chains;
is(scalar keys %images, 108, 'more than a hundred images');
my @bad;
for my $image (values %images) {
    my $json = $v1->get_json($image->{id});
    push @bad, "$image->{id}: " . $json->status if $json->status != 200 || $json->content ne $image->{json};
    push @bad, "$image->{id}: checksum" if ($json->header('X-Docker-Checksum-Payload') // '') ne $image->{payload};
    push @bad, "$image->{id}: layer" if $v1->get("/v1/images/$image->{id}/layer")->content ne $image->{layer};
    push @bad, "$image->{id}: not complete" if $v1->put_json($image)->status != 409;
}
ok(!@bad, 'all are complete, byte for byte') or diag(@bad[0 .. ($#bad < 5 ? $#bad : 5)]);

for my $i (0 .. $#chains) {
    my @ids    = reverse map { $_->{id} } @{ $chains[$i] };
    my $answer = $v1->get("/v1/images/$ids[0]/ancestry");
    push @bad, "chain $i" if join(' ', @{ $answer->json // [] }) ne "@ids";
}
ok(!@bad, 'all chains lead to their base');
is(scalar keys %{ $v1->get('/v1/repositories/many/layers/tags')->json }, 20, 'all tags are there');
is(scalar keys %{ $v1->get('/v1/repositories/broken/off/tags')->json }, 20, 'also of what was broken off');
is(scalar @{ $v1->get('/v1/repositories/many/layers/images')->json // [] }, 108, 'and the list has each image once');
is_tidy($registry);
finish();
