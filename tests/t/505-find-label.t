# Which images have this label? In all images that a client may pull, and as a command.
use v5.36;
use utf8;
use Registry limit => 120;
use JSON::PP ();
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);
my $tmp = tempdir();
spew("$tmp/access", "**  ann  all\nteam/**  bob  pull\n");
my $registry = Registry->start(args => [ '--user', 'ann:ann-secret', '--user', 'bob:bob-secret', '--access', "$tmp/access" ]);
my ($ann, $bob, $stranger) = ($registry->with(user => 'ann:ann-secret'), $registry->with(user => 'bob:bob-secret'), $registry->with);
my $json  = JSON::PP->new->canonical->utf8;
my $layer = gzip_layer(tar_of('f etc/motd x', 'f opt/log4j-core-2.jar x'));
my $n     = 0;

sub push_config ($name, $tag, $text) {
    my %manifest = (schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest},
        config => { mediaType => 'application/vnd.oci.image.config.v1+json', digest => digest($text), size => length $text },
        layers => [ { mediaType => 'application/vnd.oci.image.layer.v1.tar+gzip', digest => digest($layer->{blob}), size => length $layer->{blob} } ]);
    $ann->push_blob($name, $_) for $text, $layer->{blob};
    is($ann->put_manifest($name, $tag, $json->encode(\%manifest))->status, 201, "$name:$tag");
    return digest($json->encode(\%manifest));
}

sub push_labels ($name, $tag, $labels, $arch = 'amd64') {
    return push_config($name, $tag, $json->encode({ os => 'linux', architecture => $arch, config => { Labels => $labels }, rootfs => { type => 'layers', diff_ids => [ 'sha256:' . 'a' x 64 ] }, n => $n++ }));
}

sub find ($of, $query) {
    my $got = $of->get("/v2/_find?$query");
    is_status($got, 200, $query, 'Content-Type' => 'application/x-ndjson') or return ([], {});
    my @lines = map { JSON::PP->new->utf8->decode($_) } split /\n/, $got->content;
    return (\@lines, pop @lines);
}

sub found ($of, $query) { return [ map { "$_->{repository}:$_->{tag} $_->{label}" } @{ (find($of, $query))[0] } ] }

my $digest = push_labels('team/app', '1', { maintainer => 'ann', 'example.com/key' => 'a=b', empty => '', number => 7 });
push_labels('team/app',  '2', { maintainer => 'bob', evil => qq{<b>"x"</b>\x{202e}\x{2028}\x{9b}\x{e0041}\e[31m} });
push_labels('secret/x',  '1', { maintainer => 'ann' });
push_labels('team/none', '1', {});
push_labels('team/long', '1', { long => 'x' . 'é' x 3000 });
push_config('team/artifact', '1', '{}');

subtest 'a label' => sub {
    is_deeply(found($ann, 'label=maintainer'), [ 'secret/x:1 ann', 'team/app:2 bob', 'team/app:1 ann' ], 'with any value, the newest first');
    is_deeply(found($ann, 'label=maintainer=ann'), [ 'secret/x:1 ann', 'team/app:1 ann' ], 'with one');
    is_deeply(found($ann, "label=$_"), [], "not $_") for 'maintainer=an', 'maintainer=', 'maintaine', 'Maintainer', 'maintainer=ann2', 'number', 'number=7', 'nothing';
    is_deeply(found($ann, 'label=example.com/key=a=b'), ['team/app:1 a=b'], 'the key ends at the first =');
    is_deeply(found($ann, 'label=empty='), ['team/app:1 '], 'an empty value');
    is_deeply(found($ann, 'label=evil'), [qq{team/app:2 <b>"x"</b>\x{202e}\x{2028}\x{9b}\x{e0041}\e[31m}], 'any text');
    my ($hits, $end) = find($ann, 'label=long');
    is($hits->[0]{label}, 'x' . 'é' x 2047, 'a long value is cut, in front of a character');
    ($hits, $end) = find($ann, 'label=maintainer%3Dann&n=1');
    is_deeply([ $end->{more}, $hits->[0] ], [ JSON::PP::true, { repository => 'secret/x', tag => '1', digest => $hits->[0]{digest}, platform => 'linux/amd64', label => 'ann' } ], 'a page');
    ($hits, $end) = find($ann, "label=maintainer=ann&n=1&last=$end->{last}");
    is_deeply($hits, [ { repository => 'team/app', tag => '1', digest => $digest, platform => 'linux/amd64', label => 'ann' } ], '... and what is behind it');
    ($hits, $end) = find($ann, 'label=maintainer');
    is_deeply($end, { more => JSON::PP::false, last => undef, images => 6, skipped => 0 }, 'the end');
};

subtest 'with a name' => sub {
    is_status($ann->get("/v2/team/app/_image/$_/tree/"), 200, "$_ is indexed") for 1, 2;
    my ($hits) = find($ann, 'label=maintainer=ann&name=log4j-*');
    is_deeply([ map { "$_->{repository} $_->{path} $_->{label}" } @$hits ], [ 'secret/x /opt/log4j-core-2.jar ann', 'team/app /opt/log4j-core-2.jar ann' ], 'names in the images with that label');
    ($hits) = find($ann, 'label=nothing&name=log4j-*');
    is_deeply($hits, [], 'none in others');
};

subtest 'who sees what' => sub {
    is_deeply(found($bob, 'label=maintainer'), [ 'team/app:2 bob', 'team/app:1 ann' ], 'only what he may pull');
    is((find($bob, 'label=maintainer'))[1]{images}, 5, '... is looked at');
    is_error($stranger->get('/v2/_find?label=maintainer'), 401, 'UNAUTHORIZED', 'a stranger is asked for a token');
};

subtest 'indexes, and configs that cannot be read' => sub {
    my @images = map {
        my $d = push_labels('team/both', "tmp-$_", { only => $_ }, $_);
        is_status($ann->delete("/v2/team/both/manifests/tmp-$_"), 202, "$_ has no tag of its own");
        { mediaType => $Registry::Client::TYPE{manifest}, digest => $d, size => length $ann->get("/v2/team/both/manifests/$d")->content, platform => { os => 'linux', architecture => $_ } };
    } qw(amd64 arm64);
    is_status($ann->put_manifest('team/both', 'v1', json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@images })), 201, 'an index');
    is_deeply([ map { "$_->{tag} $_->{platform} $_->{digest} $_->{label}" } @{ (find($ann, 'label=only'))[0] } ],
        [ map { "v1 linux/$_->{platform}{architecture} $_->{digest} $_->{platform}{architecture}" } @images ], 'each of its images');
    is_deeply(found($ann, 'label=only=arm64'), ['team/both:v1 arm64'], '... alone');
    push_config('team/bad', $_->[0], $_->[1]) for [ a => 'no JSON' ], [ b => '{"config":{"Labels":["only"]}}' ], [ c => '{"config":[]}' ], [ d => '[' x 40 . ']' x 40 ];
    my ($hits, $end) = find($ann, 'label=only');
    is_deeply([ scalar @$hits, $end->{skipped} ], [ 2, 2 ], 'one that cannot be read is skipped, and one without labels is not');
};

subtest 'errors' => sub {
    is_error($ann->get("/v2/_find?$_"), 400, 'UNSUPPORTED', $_) for 'label=', 'label==x', 'label=x&name=', 'label=x&last=x', 'label=x&n=x';
    is_error($ann->get("/v2/_find?label=$_"), 414, 'UNSUPPORTED', 'too long') for 'x' x 256, 'x=' . 'y' x 256;
    is_status($ann->get('/v2/_find?label=' . 'x' x 255 . '=' . 'y' x 255), 200, 'as long as it may be');
};

subtest 'as a command' => sub {
    my @command = (Registry->program, 'find', '--dir', $registry->dir);
    is(run([ @command, '--label', 'maintainer=ann' ])->{out}, "secret/x:1 ann (linux/amd64)\nteam/app:1 ann (linux/amd64)\n", 'images');
    is(run([ @command, '--label', 'maintainer=bob', '*.jar' ])->{out}, "team/app:2 /opt/log4j-core-2.jar (linux/amd64)\n", 'names in them');
    is(run([ @command, '--label', 'evil' ])->{out}, qq{team/app:2 <b>"x"</b>?????[31m (linux/amd64)\n}, 'a value does nothing to a terminal');
    my ($line) = split /\n/, run([ @command, '--label', 'evil', '--json' ])->{out};
    unlike($line, qr/[^\x20-\x7e]/, '... also as JSON');
    is($json->decode($line)->{label}, qq{<b>"x"</b>\x{202e}\x{2028}\x{9b}\x{e0041}\e[31m}, '... which has all of it');
    is_deeply($json->decode((split /\n/, run([ @command, '--label', 'maintainer=bob', '--json' ])->{out})[0]),
        { repository => 'team/app', tag => '2', digest => $ann->head('/v2/team/app/manifests/2')->header('Docker-Content-Digest'), platform => 'linux/amd64', label => 'bob' }, '--json');
    is_deeply([ map { $_->{label} . ' ' . $_->{path} } $json->decode((split /\n/, run([ @command, '--label', 'maintainer=bob', '--json', 'motd' ])->{out})[0]) ], ['bob /etc/motd'], '... with a name');
    is(run([ @command, @$_ ])->{exit}, 2, "wrong: @$_") for [ '--label', '' ], [ '--label', '=x' ], [ '--label', 'x' x 300 ], [ '--label', 'x', '' ], [ 'a', 'b' ], [];
    push_config('team/bad', 'large', $json->encode({ os => 'linux', architecture => 'amd64', config => { Labels => { maintainer => 'large' } }, rootfs => { type => 'layers', diff_ids => [] }, history => [ (0) x 10_000 ] }));
    my $ran = run([ @command, '--label', 'maintainer=large' ]);
    is_deeply([ $ran->{out}, $ran->{exit} ], [ '', 0 ], 'a config with more than 10,000 values is not searched');
    like($ran->{err}, qr/: 3 images skipped: the config is missing, no JSON, or too large to be read \(4 MiB, 10,000 values\)$/, '... and a notice says so');
    is((find($ann, 'label=maintainer=large'))[1]{skipped}, 3, '... as does the end of an answer');
    $registry->stop;
    is(run([ @command, '--label', 'maintainer=bob' ])->{out}, "team/app:2 bob (linux/amd64)\n", 'without a server');
};

finish();
