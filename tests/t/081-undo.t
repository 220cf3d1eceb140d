# A tag that was overwritten or deleted by mistake comes back by one command, byte for byte, also after garbage was collected.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Registry::V1;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

BEGIN { need('skopeo') }

my $seen     = tempdir();
chmod 0777, $seen;
my $registry = Registry->start(
    env  => { SEEN => $seen },
    args => [ '--lease', '1s', '--gc-interval', '1s', '--on-tag', 'echo "tag $2 by $REGISTRY_ACTOR" >>"$SEEN/log"', '--on-untag', 'echo "untag $2 by $REGISTRY_ACTOR" >>"$SEEN/log"' ],
);
my $address = '127.0.0.1:' . $registry->port;
my $v1      = Registry::V1->new($registry);
my $ME      = 'command:' . getpwuid($<);

sub tag (@args) { return Registry->try([ 'tag', @args, '--dir', $registry->dir ]) }

sub digest_of ($name) {
    my ($repository, $tag) = split /:/, $name;
    return $registry->head("/v2/$repository/manifests/$tag")->header('Docker-Content-Digest');
}

sub history ($name) {
    my ($repository, $tag) = split /:/, $name;
    return $registry->get("/v2/$repository/_tags/$tag/history")->json->{history};
}

# Leases of one second are over, and so is the pause before a file goes; a canary that nothing keeps is gone.
sub collect_garbage () {
    my $canary = random_bytes(100);
    is_status($registry->push_blob('ca/nary', $canary), 201, 'a blob that nothing keeps');
    ok(wait_for(20, sub { !$registry->blob_files(digest($canary)) }), '... is collected');
    works(Registry->try([ 'gc', '--untagged', '1s', '--dir', $registry->dir ]), 'gc, also of manifests without tags');
}

# All of the image comes, with the bytes that it had.
sub is_whole ($repository, $tag, $manifest, @blobs) {
    is($registry->get("/v2/$repository/manifests/$tag")->content, $manifest, "$repository:$tag has its manifest");
    is_blob($registry, $repository, $_, '... and its blobs') for @blobs;
}

my ($one, $two) = map { random_bytes(20_000) } 1 .. 2;
my ($config1, $manifest1) = $registry->image_of([$one]);
my ($config2, $manifest2) = $registry->image_of([$two], note => 'other');

subtest 'overwritten' => sub {
    $registry->push_image('over/written', 'v1', [$one]);
    is_status($registry->push_image('over/written', 'v1', [$two], note => 'other'), 201, 'a mistake');
    is_status($registry->delete('/v2/over/written/manifests/' . digest($manifest1)), 202, '... and the right one is deleted');
    is_error($registry->get('/v2/over/written/manifests/' . digest($manifest1)), 404, 'MANIFEST_UNKNOWN', 'it is gone');
    collect_garbage();
    my $ran = tag('undo', 'over/written:v1');
    works($ran, 'tag undo');
    is($ran->{out}, join("\t", 'over/written:v1', digest($manifest2), digest($manifest1)) . "\n", '... says what it did');
    is_whole('over/written', 'v1', $manifest1, $one, $config1);
    collect_garbage();
    is_whole('over/written', 'v1', $manifest1, $one, $config1);
    works(tag('undo', 'over/written:v1', '--json'), 'an undo of the undo');
    is(digest_of('over/written:v1'), digest($manifest2), '... is the mistake again');
    works(tag('undo', 'over/written:v1', '--to', '1'), '--to 1');
    is(digest_of('over/written:v1'), digest($manifest1), '... is the first one');
};

subtest 'the history' => sub {
    my @moves = @{ history('over/written:v1') };
    is_deeply([ map { [ $_->{number}, $_->{from}, $_->{to}, $_->{by} ] } @moves ], [
        [ 5, digest($manifest2), digest($manifest1), $ME ], [ 4, digest($manifest1), digest($manifest2), $ME ],
        [ 3, digest($manifest2), digest($manifest1), $ME ], [ 2, digest($manifest1), digest($manifest2), '' ],
        [ 1, undef,              digest($manifest1), '' ],
    ], 'newest first');
    like($_->{when}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "when: $_->{number}") for @moves;
    my $json = tag('history', 'over/written:v1', '--json');
    works($json, 'tag history --json');
    is_deeply(JSON::PP->new->decode($json->{out}), \@moves, '... is the same');
    my @lines = split /\n/, tag('history', 'over/written:v1')->{out};
    is_deeply([ map { [ split /\t/, $_, -1 ] } @lines ], [ map { [ map { $_ // '-' } @$_{qw(number when from to by)} ] } @moves ], '... and as lines');
    if (my $script = find_program('script')) {
        my $screen = run([ $script, '-qec', "'" . Registry->program . "' tag history over/written:v1 --dir '" . $registry->dir . "'", '/dev/null' ], timeout => 30);
        my @seen   = split /\r?\n/, $screen->{out};
        like($seen[0], qr/^MOVE WHEN +FROM +TO +BY$/, '... with a heading on a terminal');
        is(scalar @seen, 1 + @moves, '... and a line for each move');
        like($seen[1], qr/^$moves[0]{number} +\S+Z +@{[ substr $moves[0]{from} =~ s{sha256:}{}r, 0, 12 ]} +@{[ substr $moves[0]{to} =~ s{sha256:}{}r, 0, 12 ]} /, '... with digests that are cut');
        is(scalar(grep { length > 80 } @seen), 0, '... in 80 columns');
    }
    my (@walked, $next);
    for ($next = '/v2/over/written/_tags/v1/history?n=2'; defined $next && @walked < 10;) {
        my $page = $registry->get($next);
        push @walked, @{ $page->json->{history} };
        ($next) = ($page->header('Link') // '') =~ /^<([^>]+)>; rel="next"$/;
    }
    is_deeply(\@walked, \@moves, 'in pages of two');
    is_error($registry->get('/v2/over/written/_tags/v1/history?last=x'), 400, 'UNSUPPORTED', 'a last that is no number');
    is_error($registry->get('/v2/over/written/_tags/no/history'), 404, 'MANIFEST_UNKNOWN', 'no such tag');
    is_error($registry->get('/v2/no/where/_tags/v1/history'), 404, 'NAME_UNKNOWN', 'no such repository');
    ok(wait_for(10, sub { -e "$seen/log" && slurp("$seen/log") =~ /^tag over\/written:v1 by \Q$ME\E$/m }), 'hooks tell of an undo');
};

subtest 'a user whose name is no UTF-8' => sub {
    my $registry = Registry->start(args => [ '--user', "J\xf6rg:secret" ], user => "J\xf6rg:secret");
    is_status($registry->push_image('a/b', 'v1', [$one]), 201, 'pushes');
    my $strict = JSON::PP->new->utf8;
    my %json   = map { $_->[0] => Registry->try([ @$_, '--json', '--dir', $registry->dir ])->{out} } [ 'tag', 'history', 'a/b:v1' ], [ 'show', 'a/b:v1' ];
    $json{ls}      = Registry->try([ 'tag', 'ls', 'a/b', '--json', '--dir', $registry->dir ])->{out};
    $json{history} = $registry->get('/v2/a/b/_tags/v1/history')->content;
    $json{page}    = $registry->get('/v2/a/b/_tags')->content;
    for my $name (sort keys %json) {
        is((() = $json{$name} =~ /"by": ?"J\?rg"/g), 1, "$name: his name, mended") or diag($json{$name});
        ok(eval { $strict->decode($json{$name}) }, '... in JSON') or diag($@);
    }
};

subtest 'deleted with skopeo' => sub {
    my $tmp    = tempdir();
    my $digest = make_layout_index("$tmp/multi", 'v1', 60_000, 40_000);
    works(skopeo('copy', '--dest-tls-verify=false', '--all', "oci:$tmp/multi:v1", "docker://$address/multi/arch:v1"), 'an index is pushed');
    works(skopeo('delete', '--tls-verify=false', "docker://$address/multi/arch:v1"), 'skopeo delete');
    my @children = grep { $registry->head("/v2/multi/arch/manifests/$_")->status == 200 } layout_digests("$tmp/multi");
    is_status($registry->delete("/v2/multi/arch/manifests/$_"), 202, '... and its manifests') for @children;
    is(scalar @children, 2, '... both');
    is_status($registry->get('/v2/multi/arch/manifests/v1'), 404, 'it is gone');
    collect_garbage();
    is_deeply([ map { [ $_->{from}, $_->{to} ] } history('multi/arch:v1')->[0] ], [ [ $digest, undef ] ], 'the history tells it');
    works(tag('restore', 'multi/arch:v1'), 'tag restore');
    works(skopeo('copy', '--src-tls-verify=false', '--all', "docker://$address/multi/arch:v1", "oci:$tmp/back:v1"), 'it is pulled');
    is_deeply([ layout_digests("$tmp/back") ], [ layout_digests("$tmp/multi") ], '... and the same as before');
    isnt(tag('restore', 'multi/arch:v1')->{exit}, 0, 'a tag that exists is not restored');
};

subtest 'the first API' => sub {
    my @chain = random_chain(3);
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('old/image', 'latest', @chain);
    ok(wait_for(30, sub { $registry->head('/v2/old/image/manifests/latest')->status == 200 }), 'an image is converted');
    my $manifest = $registry->get('/v2/old/image/manifests/latest')->content;
    my @fresh = random_chain(2);
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('old/image', 'fresh', @fresh);
    is_status($v1->request(DELETE => '/v1/repositories/old/image/'), 200, 'the whole repository is deleted at once');
    is_status($registry->get('/v2/old/image/manifests/' . digest($manifest)), 404, '... and its manifest');
    collect_garbage();
    for my $tag ([ latest => \@chain ], [ fresh => \@fresh ]) {
        my ($name, $images) = @$tag;
        works(tag('restore', "old/image:$name"), "tag restore $name");
        is($v1->get("/v1/repositories/old/image/tags/$name")->content, qq{"$images->[-1]{id}"}, '... has its id');
        is($v1->get("/v1/images/$_->{id}/layer")->content, $_->{layer}, '... and its layers') for @$images;
    }
    is($registry->get('/v2/old/image/manifests/latest')->content, $manifest, 'and the manifest is the same');
    ok(wait_for(30, sub { $registry->head('/v2/old/image/manifests/fresh')->status == 200 }), 'what was not converted is in the end');

    my @other = random_chain(2);
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('old/image', 'latest', @other);
    ok(wait_for(30, sub { $registry->get('/v2/old/image/manifests/' . digest($manifest))->status == 404 }), 'overwritten, and its manifest goes');
    collect_garbage();
    works(tag('undo', 'old/image:latest'), 'tag undo');
    is($v1->get('/v1/repositories/old/image/tags/latest')->content, qq{"$chain[-1]{id}"}, '... it has its id');
    is($registry->get('/v2/old/image/manifests/latest')->content, $manifest, '... and its manifest');
};

subtest 'tag ls, tag rm' => sub {
    is_status($registry->push_image('li/st', "t$_", [$one]), 201, "t$_") for 1 .. 3;
    my @lines = map { [ split /\t/ ] } split /\n/, tag('ls', 'li/st')->{out};
    is_deeply([ map { "@$_[0,1]" } @lines ], [ map { "t$_ " . digest($manifest1) } 1 .. 3 ], 'tag ls');
    is_deeply([ map { $_->{tag} } @{ JSON::PP->new->decode(tag('ls', 'li/st', '--json')->{out}) } ], [qw(t1 t2 t3)], '... as JSON');
    my $ran = tag('rm', 'li/st:t2', '--json');
    works($ran, 'tag rm');
    is_deeply(JSON::PP->new->decode($ran->{out}), { repository => 'li/st', tag => 't2', from => digest($manifest1), to => undef }, '... says what it did');
    is_deeply($registry->get('/v2/li/st/tags/list')->json->{tags}, [qw(t1 t3)], '... and it is gone');
    is_status($registry->get('/v2/li/st/manifests/' . digest($manifest1)), 200, '... but its manifest is not');
    ok(wait_for(10, sub { slurp("$seen/log") =~ /^untag li\/st:t2 by \Q$ME\E$/m }), 'hooks tell of it');
};

# Layer N is in the image N of the repository at/once.
subtest 'tag rm --now' => sub {
    my @layers = map { random_bytes(2000 + $_) } 0 .. 7;
    my $push = sub ($tag, $n) { is_status($registry->push_image('at/once', $tag, [ $layers[$n] ]), 201, "$tag is image $n") };
    my $here = sub { return join ' ', grep { $registry->blob_files(digest($layers[$_])) } 0 .. $#layers };
    my @manifests = map { ($registry->image_of([$_]))[1] } @layers;
    $push->('v1', 0);
    $push->('v1', 1);
    is_status($registry->delete('/v2/at/once/manifests/' . digest($manifests[0])), 202, '... and image 0 is deleted');
    $push->('other', 1);
    $push->('other', 2);
    $push->('v1', 3);
    $push->('third', 3);
    $push->('v1', 4);
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ $registry->descriptor($Registry::Client::TYPE{manifest}, $manifests[4]) ] });
    is_status($registry->put_manifest('at/once', 'all', $index, $Registry::Client::TYPE{index}), 201, '... which an index has, too');
    $push->('v1', 6);
    # An index that was deleted with its manifest.
    $push->('v1', 5);
    my $old = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ $registry->descriptor($Registry::Client::TYPE{manifest}, $manifests[5]) ] });
    is_status($registry->put_manifest('at/once', 'v1', $old, $Registry::Client::TYPE{index}), 201, 'v1 is an index of image 5');
    $push->('v1', 7);
    is_status($registry->delete('/v2/at/once/manifests/' . digest($_)), 202, '... and both are deleted') for $old, $manifests[5];
    collect_garbage();
    is($here->(), '0 1 2 3 4 5 6 7', 'the history keeps all of them');
    my $ran = tag('rm', 'at/once:v1', '--now');
    works($ran, 'tag rm --now');
    is($ran->{out}, join("\t", 'at/once:v1', digest($manifests[7]), '-') . "\n", '... says what it did');
    collect_garbage();
    ok(wait_for(20, sub { $here->() eq '1 2 3 4' }), '... then only what another tag, its history or an index keeps is there') or diag($here->());
    is(scalar(split /\n/, tag('history', 'at/once:v1')->{out}), 9, 'the history still tells the moves');
    like(tag('restore', 'at/once:v1')->{err}, qr/isn't in repository at\/once any more/, '... and nothing can be put back');
    works(tag('undo', 'at/once:other'), 'another tag');
    is_whole('at/once', 'other', $manifests[1], $layers[1]);

    is_status($registry->delete('/v2/at/once/manifests/third'), 202, 'a tag that a client has deleted');
    $ran = tag('rm', 'at/once:third', '--now', '--json');
    works($ran, '... before tag rm --now');
    is_deeply(JSON::PP->new->decode($ran->{out}), { repository => 'at/once', tag => 'third', from => undef, to => undef }, '... which says so');
    collect_garbage();
    ok(wait_for(20, sub { $here->() eq '1 2 4' }), '... its image goes') or diag($here->());
};

subtest 'tag ls --untagged' => sub {
    is($registry->push_image('un/tagged', 'v1', [$one])->status, 201, 'an image');
    is_status($registry->push_image('un/tagged', 'v1', [$two], note => 'other'), 201, '... overwritten');
    my ($config, $manifest) = $registry->push_parts('un/tagged');
    is_status($registry->put_manifest('un/tagged', digest($manifest), $manifest), 201, 'one that never had a tag');
    my ($own, $child) = $registry->push_parts('un/tagged');
    is_status($registry->put_manifest('un/tagged', digest($child), $child), 201, 'one of an index');
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ $registry->descriptor($Registry::Client::TYPE{manifest}, $child) ] });
    is_status($registry->put_manifest('un/tagged', 'all', $index, $Registry::Client::TYPE{index}), 201, '... which has a tag');
    my $ran = tag('ls', 'un/tagged', '--untagged', '--json');
    works($ran, 'tag ls --untagged');
    my %found = map { ($_->{digest} => $_) } @{ JSON::PP->new->decode($ran->{out}) };
    is_deeply([ sort keys %found ], [ sort map { digest($_) } $manifest1, $manifest ], 'lists two');
    is($found{ digest($manifest) }{size}, length $manifest, '... with the size');
    like($found{ digest($manifest) }{pushed}, qr/^\d{4}-\d\d-\d\dT/, '... and the time of the push');
    cmp_ok($found{ digest($manifest1) }{until}, 'gt', $found{ digest($manifest1) }{pushed}, '... and how long the history keeps it');
    ok(wait_for(10, sub { tag('ls', 'un/tagged', '--untagged')->{out} =~ /^\Q${\ digest($manifest)}\E\t\d+\t\S+\t-$/m }), '... without any when its lease is over');
    is_status($registry->get('/v2/un/tagged/manifests/' . digest($manifest)), 200, 'nothing is deleted');
};

subtest 'what can not be' => sub {
    for ([ 'undo', 'li/st:t1' ], [ 'undo', 'li/st:none' ], [ 'undo', 'no/where:v1' ], [ 'undo', 'li/st:t1', '--to', 7 ], [ 'rm', 'li/st:none' ], [ 'rm', 'li/st:none', '--now' ],
        [ 'history', 'li/st:none' ], [ 'ls', 'no/where' ]) {
        my $ran = tag(@$_);
        is($ran->{exit}, 1, "@$_");
        like($ran->{err}, qr/\S/, '... says why');
        is($ran->{out}, '', '... and prints nothing');
    }
    is(tag(@$_)->{exit}, 2, "usage: @$_")
        for [], ['ls'], [ 'undo', 'li/st' ], [ 'ls', 'li/st:t1' ], [ 'undo', 'li/st:t1', '--to', 'x' ], [ 'rm', 'li/st:t1', '--to', 1 ], [ 'no', 'li/st:t1' ], [ 'undo', 'Li/st:t1' ], [ 'rm', 'li/st:t1', '--untagged' ], [ 'ls', 'li/st', '--force' ],
        [ 'undo', 'li/st:t1', '--now' ], [ 'ls', 'li/st', '--now' ];
};

subtest 'without a server' => sub {
    is_status($registry->delete('/v2/li/st/manifests/' . digest($manifest1)), 202, 'the manifest is deleted with all of its tags');
    $registry->stop;
    works(tag('restore', 'li/st:t1'), 'tag restore');
    is(scalar(split /\n/, tag('history', 'li/st:t1')->{out}), 3, 'tag history');
    $registry = Registry->start(dir => $registry->dir, args => [ '--lease', '1s', '--gc-interval', '1s' ]);
    is_whole('li/st', 't1', $manifest1, $one, $config1);
    works(tag('restore', 'li/st:t3'), 'another one of its tags');
    is_deeply($registry->get('/v2/li/st/tags/list')->json->{tags}, [qw(t1 t3)], '... is there');
};

is_tidy($registry);
is_sound($registry);
finish();
