# Which images have a file of that name? In all images that a client may pull, and as a command.
use v5.36;
use Registry limit => 150;
use JSON::PP ();
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

my $registry = Registry->start(args => [ '--user', 'ann:ann-secret', '--user', 'bob:bob-secret' ]);
my ($ann) = map { $registry->with(user => $_) } 'ann:ann-secret';

# The entries, and the last line.
sub find ($of, $query, @o) {
    my $got = $of->get("/v2/_find?$query", @o);
    is_status($got, 200, "find $query", 'Content-Type' => 'application/x-ndjson') or return ([], {});
    my @lines = map { JSON::PP::decode_json($_) } split /\n/, $got->content;
    return (\@lines, pop @lines);
}

sub texts ($hits) { return [ map { "$_->{repository}:$_->{tag} $_->{path}" } @$hits ] }

sub all ($of, $query, @o) {
    my ($last, @all) = ('');
    for (1 .. 40) {
        my ($hits, $end) = find($of, $query . ($last ne '' ? "&last=$last" : ''), @o);
        push @all, @$hits;
        last if !$end->{more} || !defined $end->{last} || $end->{last} eq $last;
        $last = $end->{last};
    }
    return texts(\@all);
}

sub indexed ($name, $tag) { return $ann->get("/v2/$name/_image/$tag/tree/") }

my $base = gzip_layer(tar_of('d etc/', 'f etc/passwd x', 'd usr/', 'd usr/lib/', 'f usr/lib/log4j-core-2.14.1.jar x', 'f usr/lib/other.jar x', 'l etc/link passwd'));
my $gone = gzip_layer(tar_of('f usr/lib/.wh.log4j-core-2.14.1.jar ', 'd opt/', 'f opt/tool x'));
my $new  = gzip_layer(tar_of('d usr/', 'd usr/lib/', 'f usr/lib/other.jar newer', "f opt/caf\xc3\xa9 x", "f opt/bad\xff x", "f opt/\xc2\x9b31mred x"));

push_layers($ann, 'team/app', '1', $base);
push_layers($ann, 'team/app', '2', $base, $gone);
push_layers($ann, 'team/web', '1', $base, $new);
for my $image ([ 'team/app', 1 ], [ 'team/app', 2 ], [ 'team/web', 1 ]) { is_status(indexed(@$image), 200, "@$image is indexed") }

subtest 'names' => sub {
    is_deeply(all($ann, 'name=passwd'), [ 'team/web:1 /etc/passwd', 'team/app:2 /etc/passwd', 'team/app:1 /etc/passwd' ], 'the newest first');
    is_deeply(all($ann, 'name=log4j-core-2.14.1.jar'), [ map { "$_ /usr/lib/log4j-core-2.14.1.jar" } 'team/web:1', 'team/app:1' ], 'not where a layer removes it');
    is_deeply(all($ann, 'name=log4j-core-*.jar'), [ map { "$_ /usr/lib/log4j-core-2.14.1.jar" } 'team/web:1', 'team/app:1' ], 'by a pattern');
    is_deeply(all($ann, 'name=nothing'), [], 'a name that is nowhere');
    is_deeply(all($ann, 'name=usr/lib/*.jar'), [ (map { "team/web:1 /usr/lib/$_" } 'other.jar', 'log4j-core-2.14.1.jar'), 'team/app:2 /usr/lib/other.jar',
            map { "team/app:1 /usr/lib/$_" } 'log4j-core-2.14.1.jar', 'other.jar' ], 'a whole path');
    is_deeply(all($ann, 'name=/etc/passwd'), all($ann, 'name=passwd'), '... that is exact');
    is_deeply(all($ann, 'name=lib/passwd'), [], '... in another directory');
    is_deeply(all($ann, 'name=lib/'), [ map { "$_ /usr/lib/" } 'team/web:1', 'team/app:2', 'team/app:1' ], 'directories');
    is_deeply(all($ann, 'name=link'), [ map { "$_ /etc/link" } 'team/web:1', 'team/app:2', 'team/app:1' ], 'a link');
    my ($hits, $end) = find($ann, 'name=other.jar');
    my ($is) = grep { $_->{repository} eq 'team/web' } @$hits;
    is_deeply([ @$is{qw(type size layer)} ], [ 'file', 5, digest($new->{blob}) ], 'the file of the topmost layer');
    is($is->{digest}, $ann->head('/v2/team/web/manifests/1')->header('Docker-Content-Digest'), '... its image');
    is_deeply($end, { more => JSON::PP::false, last => undef, images => 3, skipped => 0 }, 'the end');
    ($hits) = find($ann, 'name=bad*');
    is($hits->[0]{path_b64}, 'L29wdC9iYWT/', 'a name that is no UTF-8');
};

subtest 'pages' => sub {
    my $all = all($ann, 'name=*');
    cmp_ok(scalar @$all, '>', 15, 'many names');
    is_deeply(all($ann, "name=*&n=$_"), $all, "in pages of $_") for 1, 2, 7, 1000;
    is_error($ann->get("/v2/_find?$_"), 400, 'UNSUPPORTED', $_) for '', 'name=', 'name=x&n=x', 'name=x&last=x', 'name=x&last=1,2,x', 'name=x&last=1,,a:b', 'name=x&last=x,all,a:b';
    is_status($ann->get('/v2/_find?name=x&last=1,all,no/such:tag'), 200, 'behind what is gone');
    is_error($ann->get('/v2/_find?name=' . 'x' x 300), 414, 'UNSUPPORTED', 'too long a pattern');
    is_status($ann->head('/v2/_find?name=x'), 200, 'HEAD');
    my ($hits, $end) = find($ann, 'name=passwd&n=0');
    is_deeply($hits, [], 'n=0');
};

subtest 'the same image under several tags' => sub {
    my $manifest = $ann->get('/v2/team/app/manifests/1')->content;
    is_status($ann->put_manifest('team/app', 'latest', $manifest), 201, 'another tag');
    is_deeply([ grep { /app:(?:1|latest)/ } @{ all($ann, 'name=passwd') } ], ['team/app:latest /etc/passwd'], 'comes once, under the newest');
};

subtest 'what cannot be looked into' => sub {
    push_layers($ann, 'team/bad', '1', raw_layer('this is no tar'));
    indexed('team/bad', 1);
    my (undef, $end) = find($ann, 'name=passwd');
    is($end->{skipped}, 1, 'is counted');
};

subtest 'who sees what' => sub {
    my $dir = tempdir() . '/data';
    mkdir $_ for $dir, "$dir/auth";
    chown((getpwnam 'www-data')[2, 3], "$dir/auth") if is_root();
    spew("$dir/auth/access", "team/**  ann  all\nown/**  bob  all\npublic/**  ann  all\npublic/**  *  pull\npublic/**  anonymous  pull\n");
    my $ruled = Registry->start(dir => $dir, args => [ '--user', 'ann:ann-secret', '--user', 'bob:bob-secret' ]);
    my ($a, $b, $stranger) = ((map { $ruled->with(user => "$_:$_-secret") } qw(ann bob)), $ruled->with);
    push_layers($a, $_->[0], 1, @{ $_->[1] }) for [ 'team/secret', [$base] ], [ 'public/x', [ $base, $new ] ];
    push_layers($b, 'own/y', 1, $gone);
    is_status($_->[0]->get("/v2/$_->[1]/_image/1/tree/"), 200, "$_->[1] is indexed") for [ $a, 'team/secret' ], [ $a, 'public/x' ], [ $b, 'own/y' ];
    is_deeply(all($a, 'name=other.jar'), [ map { "$_ /usr/lib/other.jar" } 'public/x:1', 'team/secret:1' ], 'a user with rights on two');
    is_deeply(all($b, 'name=other.jar'), ['public/x:1 /usr/lib/other.jar'], 'a user with a right on one');
    my (undef, $end) = find($b, 'name=other.jar');
    is_deeply([ @$end{qw(images skipped)} ], [ 2, 0 ], '... for whom the others do not count');
    is_deeply(texts((find($b, 'name=*&last=9999999999999,all,team/secret:1'))[0]), all($b, 'name=*'), '... whatever the place names');
    push_layers($a, 'team/later', 1, $gone);
    my ($time) = ((find($b, 'name=*&n=1'))[1]{last} // '') =~ m{^(\d+),1,own/y:1$};
    ok($time, 'a place in the image of that user');
    is_deeply(texts((find($b, "name=tool&last=$time,all,team/$_:0"))[0]), ['own/y:1 /opt/tool'], "... which comes behind one of the same time in team/$_") for 'never', 'later';
    is_error($stranger->get('/v2/_find?name=other.jar'), 401, 'UNAUTHORIZED', 'a stranger is asked for a token');
    my $token = $stranger->get('/v2/_token?scope=registry:catalog:*')->json->{token};
    is_deeply(all($stranger, 'name=other.jar', headers => { Authorization => "Bearer $token" }), ['public/x:1 /usr/lib/other.jar'], '... and finds what all may pull');
};

subtest 'many layers' => sub {
    my @sets = map { my $n = $_; gzip_layer(tar_of('d d/', (map { "f d/$n-$_ x" } 1 .. 400), $n == 77 ? 'f d/needle x' : ())) } 1 .. 100;
    push_layers($ann, 'many', $_, @sets[ 10 * $_ .. 10 * $_ + 9 ]) for 0 .. 9;
    is_status(indexed('many', $_), 200, "an image of ten layers is indexed: $_") for 0 .. 9;
    my $since = time;
    is_deeply([ grep { /^many/ } @{ all($ann, 'name=needle') } ], ['many:7 /d/needle'], 'one name of 40,000');
    my $exact = time - $since;
    $since = time;
    is_deeply([ grep { /^many/ } @{ all($ann, 'name=need*') } ], ['many:7 /d/needle'], '... by a pattern');
    note(sprintf 'exact %.3f s, pattern %.3f s', $exact, time - $since);
    cmp_ok($exact, '<', 5, sprintf 'an exact name in %.3f s', $exact);
};

# Of a layer of 100 kB, whose names take 35 MB with their paths.
subtest 'long paths' => sub {
    my $long = join '/', map { 'd' x 250 } 1 .. 15;
    my @large = map { my $n = $_; gzip_layer(tar_of(map { { name => "$long/$n-$_", data => '', format => 'gnu' } } 1 .. 9500)) } 1 .. 2;
    push_layers($ann, 'large', 1, @large);
    is_status(indexed('large', 1), 200, 'an image of them is indexed');
    my ($hits, $end) = find($ann, 'name=*&n=1');
    is_deeply([ $end->{skipped}, map { $_->{repository} } @$hits ], [ 1, 'many' ], 'is left out of what would take too much memory');
    is(scalar @{ all($ann, 'name=2-9400') }, 1, '... and else is searched');
};

# Together they are more than the memory of a request.
subtest 'an index of images with large manifests' => sub {
    my $note = { map { ("k$_" => 'v' x 1000) } 1 .. 3500 };
    my $manifest = $ann->get('/v2/team/app/manifests/1')->content;
    my @large = map { JSON::PP::encode_json({ %{ JSON::PP::decode_json($manifest) }, annotations => { %$note, n => "$_" } }) } 1 .. 10;
    is_status($ann->put_manifest('team/app', digest($_), $_), 201, 'a manifest of 3.5 MB') for @large;
    my $index = { schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => [ map { $ann->descriptor('manifest', $_) } @large ] };
    is_status($ann->put_manifest('team/app', 'all', JSON::PP::encode_json($index)), 201, 'an index of ten');
    my $found = all($ann, 'name=passwd');
    is_deeply([ @$found[ 0 .. 10 ] ], [ ('team/app:all /etc/passwd') x 10, 'team/app:latest /etc/passwd' ], 'is searched, and others behind it');
    is_status($ann->delete('/v2/team/app/manifests/all'), 202, 'it goes');
};

subtest 'as a command' => sub {
    my @command = (Registry->program, 'find', '--dir', $registry->dir);
    my $found = run([ @command, 'log4j-*' ]);
    works($found, 'with a running server');
    like($found->{out}, qr{^team/web:1 /usr/lib/log4j-core-2\.14\.1\.jar}m, '... finds');
    unlike($found->{out}, qr{^team/app:2}m, '... not what is hidden');
    like($found->{err}, qr/1 image skipped: the layers can't be looked into, or aren't indexed yet\n/, '... and says what it skipped');
    my $json = run([ @command, '--json', 'passwd' ]);
    is(JSON::PP::decode_json((split /\n/, $json->{out})[0])->{path}, '/etc/passwd', '--json');
    is(run([ @command, 'no-such-name' ])->{out}, '', 'nothing is found');
    unlike(run([ @command, 'bad*' ])->{out}, qr/\xff/, 'a bad byte of a name does not reach the terminal');
    like(run([ @command, '*mred' ])->{out}, qr{^team/web:1 /opt/\?31mred\b}m, '... nor a control character');
    my $manifest = JSON::PP::decode_json($ann->get('/v2/team/web/manifests/1')->content);
    my $config   = $ann->get("/v2/team/web/blobs/$manifest->{config}{digest}")->content =~ s/"linux"/"\\u001b[2J"/r;
    is_status($ann->push_blob('team/web', $config), 201, 'the config of an image');
    @{ $manifest->{config} }{qw(digest size)} = (digest($config), length $config);
    is_status($ann->put_manifest('team/web', 'evil', JSON::PP::encode_json($manifest)), 201, '... for a strange platform');
    like(run([ @command, 'caf*' ])->{out}, qr{^team/web:evil /opt/caf\xc3\xa9 \(\?\[2j/amd64\)$}m, '... whose name gets no further, either');
    is(run([@command])->{exit}, 2, 'without a name');
};
finish();
