# Immutable tags: another digest is refused, by each way in; an administrator can force it.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start(args => [ '--immutable', 'v*', '--immutable', 'team/**:[0-9]*', '--workers', '8' ]);
my $v1       = Registry::V1->new($registry);

sub tag (@args) { return Registry->try([ 'tag', @args, '--dir', $registry->dir ]) }

sub digest_of ($name) {
    my ($repository, $tag) = split /:/, $name;
    return $registry->head("/v2/$repository/manifests/$tag")->header('Docker-Content-Digest') // 'none';
}

# Pushes the parts of an image, and returns its manifest.
sub parts ($repository) {
    my (undef, $manifest) = $registry->push_parts($repository);
    return $manifest;
}

sub index_of ($type, $part) {
    return json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ $registry->descriptor($Registry::Client::TYPE{$type}, $part) ] });
}

my ($first, $second) = map { parts('a/b') } 1 .. 2;

subtest 'a push' => sub {
    is_status($registry->put_manifest('a/b', 'v1', $first), 201, 'a new tag');
    is_status($registry->put_manifest('a/b', 'v1', $first), 201, 'the same digest again');
    my $refused = $registry->put_manifest('a/b', 'v1', $second);
    is_error($refused, 403, 'DENIED', 'another digest');
    like($refused->message, qr/tag v1 of a\/b is immutable \(--immutable v\*\)/, '... says which tag, and why');
    like($refused->message, qr/\Q${\ digest($first)}\E/, '... and what it names');
    is(digest_of('a/b:v1'), digest($first), '... which it does still');
    is_status($registry->get('/v2/a/b/manifests/' . digest($second)), 404, 'the manifest is not stored');
    is_error($registry->put("/v2/a/b/manifests/" . digest($second) . '?tag=latest&tag=v1', body => $second, headers => { 'Content-Type' => $Registry::Client::TYPE{manifest} }), 403, 'DENIED', 'with other tags');
    is(digest_of('a/b:latest'), 'none', '... none of them moves');
    is_status($registry->put_manifest('a/b', 'latest', $_), 201, 'other tags move') for $first, $second;
    my ($one, $two) = map { parts('team/x') } 1 .. 2;
    is_status($registry->put_manifest('team/x', '1.0', $one), 201, 'a pattern with repositories');
    is_error($registry->put_manifest('team/x', '1.0', $two), 403, 'DENIED', '... holds for these');
    is_status($registry->put_manifest('a/b', '1.0', $_), 201, '... and for no others') for $first, $second;
};

subtest 'a deletion' => sub {
    is_error($registry->delete('/v2/a/b/manifests/v1'), 403, 'DENIED', 'of the tag');
    is_error($registry->delete('/v2/a/b/manifests/' . digest($first)), 403, 'DENIED', 'of its manifest');
    is(digest_of('a/b:v1'), digest($first), 'it is there');
    my $index = index_of(manifest => $second);
    is_status($registry->put_manifest('a/b', 'v2', $index, $Registry::Client::TYPE{index}), 201, 'an index');
    is_error($registry->delete('/v2/a/b/manifests/' . digest($second)), 403, 'DENIED', 'of a manifest of an index');
    my $third = parts('a/b');
    my $low   = index_of(manifest => $third);
    my $top   = index_of(index => $low);
    is_status($registry->put_manifest('a/b', digest($third), $third), 201, 'an image without a tag');
    is_status($registry->put_manifest('a/b', digest($low), $low, $Registry::Client::TYPE{index}), 201, 'an index');
    is_status($registry->put_manifest('a/b', 'v3', $top, $Registry::Client::TYPE{index}), 201, '... in an index');
    is_error($registry->delete('/v2/a/b/manifests/' . digest($third)), 403, 'DENIED', 'of a manifest of an index in an index');
    is_status($registry->delete('/v2/a/b/manifests/latest'), 202, 'of another tag');
};

subtest 'the first API' => sub {
    my ($image, $other) = map { random_image() } 1 .. 2;
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('old/image', 'v1', $image);
    is_status($v1->put_tag('old/image', 'v1', $image->{id}), 200, 'the same image again');
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('old/image', 'latest', $other);
    is_status($v1->put_tag('old/image', 'v1', $other->{id}), 403, 'another image');
    is_status($v1->request(DELETE => '/v1/repositories/old/image/tags/v1'), 403, 'DELETE of the tag');
    is_status($v1->request(DELETE => '/v1/repositories/old/image/'), 403, 'DELETE of the repository');
    is($v1->get('/v1/repositories/old/image/tags/latest')->content, qq{"$other->{id}"}, '... deletes no tag');
    ok(wait_for(30, sub { $registry->head('/v2/old/image/manifests/v1')->status == 200 }), 'the image is converted');
    is_status($v1->put_tag('old/image', 'v1', $image->{id}), 200, '... and the same still');
};

subtest 'eight at once' => sub {
    my @manifests = map { parts('race/d') } 1 .. 8;
    my @statuses  = in_parallel(8, 60, sub ($i) { $registry->put_manifest('race/d', 'v9', $manifests[$i])->status });
    my @won       = grep { $statuses[$_] == 201 } 0 .. 7;
    is_deeply([ sort @statuses ], [ 201, (403) x 7 ], 'one wins');
    is(digest_of('race/d:v9'), digest(@won ? $manifests[$won[0]] : ''), '... and the tag names its manifest');
};

subtest 'an administrator' => sub {
    my $ran = tag('rm', 'a/b:v1');
    is($ran->{exit}, 1, 'tag rm is refused, too');
    like($ran->{err}, qr/--immutable v\*/, '... says why');
    works(tag('rm', 'a/b:v1', '--force'), '... with --force it is not');
    is(digest_of('a/b:v1'), 'none', '... and it is gone');
    works(tag('restore', 'a/b:v1'), 'tag restore adds a tag');
    is(digest_of('a/b:v1'), digest($first), '... again');
    works(tag('rm', 'a/b:v1', '--force'), 'deleted');
    is_status($registry->put_manifest('a/b', 'v1', $second), 201, 'pushed anew');
    is(tag('undo', 'a/b:v1', '--to', 1)->{exit}, 1, 'tag undo is refused');
    works(tag('undo', 'a/b:v1', '--to', 1, '--force'), '... but not with --force');
    is(digest_of('a/b:v1'), digest($first), '... and puts it back');
};

subtest 'import' => sub {
    my $from = Registry->start;
    my $to   = Registry->start(args => [ '--immutable', 'v*' ]);
    my $tar  = tempdir() . '/export.tar';
    my @sent = map { my $r = $_; my (undef, $m) = $r->push_parts('im/port'); $r->put_manifest('im/port', $_, $m) for qw(v1 w1); $m } $from, $to;
    works(Registry->try([ 'export', 'im/port', '--output', $tar, '--dir', $from->dir ]), 'an export');
    my $ran = Registry->try([ 'import', $tar, '--dir', $to->dir ]);
    is($ran->{exit}, 1, 'its import reports a failure');
    like($ran->{err}, qr/tag im\/port:v1 is left out: .*--immutable v\*/, '... and says why');
    is($to->head('/v2/im/port/manifests/v1')->header('Docker-Content-Digest'), digest($sent[1]), 'what is immutable stays');
    is($to->head('/v2/im/port/manifests/w1')->header('Docker-Content-Digest'), digest($sent[0]), 'the rest is imported');
    works(Registry->try([ 'import', $tar, '--dir', $from->dir ]), 'the same images can be imported again');
};

subtest 'retention, and the end of a repository' => sub {
    my $rules    = spew(tempdir() . '/retain', "** keep match none\n");
    chmod 0755, $rules =~ s{/[^/]*$}{}r;
    my $other = Registry->start(args => [ '--immutable', 'v*', '--retain', $rules ]);
    my ($config, $manifest) = $other->push_parts('keep/it');
    is_status($other->put_manifest('keep/it', $_, $manifest), 201, $_) for qw(v1 w1);
    my $ran = Registry->try([ 'retain', '--dir', $other->dir ]);
    works($ran, 'retain');
    is_deeply($other->get('/v2/keep/it/tags/list')->json->{tags}, ['v1'], '... leaves what is immutable');
    works(Registry->try([ 'repo', 'rm', 'keep/it', '--now', '--dir', $other->dir ]), 'repo rm');
    is_status($other->get('/v2/keep/it/manifests/v1'), 404, '... does not');
};

is_tidy($registry);
finish();
