# A changed configuration counts after SIGHUP, and another program takes over, while 50 clients push and pull: none
# of their requests fails, and no transfer is cut off.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Clients;
use Registry::Crowd;
use Registry::Process;
use Registry::Tools;
use Test::More;

BEGIN { need('curl') }
my $CLIENTS = 50;
my $tmp     = tempdir();
chmod 0755, $tmp;

# ---- one server ----

sub taken ($registry) { return scalar $registry->logged(qr/this program has taken over/) }

sub configure ($file, %options) { return spew($file, join '', map { "$_ = $options{$_}\n" } sort keys %options) }

sub reload ($registry, $name) {
    my $before = taken($registry);
    kill 'HUP', $registry->pid;
    return ok(wait_for(60, sub { taken($registry) > $before }), $name);
}

my $conf = "$tmp/a.conf";
configure($conf, 'max-tags' => 100, 'max-blob-size' => '50M');
my $registry = Registry->start(args => [ '--config', $conf, '--no-ui', '--user', 'ann:secret' ], user => 'ann:secret',
    expected => qr/options stay as they were|no other program takes over|wrong password/);
my $url   = 'http://ann:secret@127.0.0.1:' . $registry->port;
my $pid   = $registry->pid;
my ($nginx) = $registry->nginx_master;
my $size  = 8_000_000;
my $bytes = cheap_bytes($size);
is_status($registry->push_blob('a/b', $bytes), 201, 'a blob');
my $digest = digest($bytes);
spew("$tmp/piece", cheap_bytes(6_000_000));
my $place  = $registry->start_upload('a/b') =~ s{^https?://[^/]+}{}r;

my $clients  = begin_clients($registry, $CLIENTS);
my $download = curl_beside('--limit-rate', '500K', '-o', "$tmp/got", "$url/v2/a/b/blobs/$digest");
my $upload   = curl_beside('--limit-rate', '400K', '-o', "$tmp/answer", '-X', 'PATCH', '-T', "$tmp/piece", '-H', 'Content-Type: application/octet-stream', "$url$place");
ok(wait_for(30, sub { -s "$tmp/got" && grep { m{^uploads/body/} } $registry->files('uploads') }), 'a slow download and a slow upload');

my @workers = $registry->all_nginx_workers;
subtest 'a changed configuration' => sub {
    configure($conf, 'max-tags' => 99, 'max-blob-size' => '50M', 'bulk-workers' => 3);
    reload($registry, 'options that have changed count after SIGHUP');
    is(scalar($registry->children('worker bulk')), 3, '... the number of workers');
    is_deeply([ sort map { /option=(\S+)/ } $registry->logged(qr/an option has changed/) ], [ 'bulk-workers', 'max-tags' ], '... and each of them is logged');
    is(scalar $registry->running, 1, '... in the same process');
    is_deeply([ sort $registry->nginx_workers ], [ sort @workers ], '... with the same nginx, and its workers');
};

subtest 'another program' => sub {
    run([ 'cp', Registry->program, "$tmp/other" ]);
    chmod 0755, "$tmp/other";
    my $before = taken($registry);
    my $ran = Registry->try([ 'upgrade', '--dir', $registry->dir ], program => "$tmp/other", timeout => 60);
    is($ran->{exit}, 0, 'upgrade') or diag($ran->{err});
    is(taken($registry), $before + 1, '... returns when the other program serves');
    is(readlink("/proc/$pid/exe"), "$tmp/other", '... which it does in the same process');
    is_deeply([ grep { (readlink("/proc/$_/exe") // '') ne "$tmp/other" } $registry->children('worker') ], [], '... and in all workers');
    is_deeply([ sort $registry->nginx_workers ], [ sort @workers ], '... with the same nginx, and its workers');
};
end_clients($clients, 'while both happened');
is($download->(), "0 200 $size", 'the download is whole');
is(file_digest("$tmp/got"), $digest, '... byte for byte');
like($upload->(), qr/^0 202 /, 'the upload is accepted');
is_status($registry->delete($place), 204, '... and dropped');

subtest 'what nginx has to know' => sub {
    my $others = begin_clients($registry, $CLIENTS, 1);
    ok(wait_for(60, sub { $registry->get('/v2/team/app1/tags/list')->status == 200 }), 'clients');
    configure($conf, 'max-tags' => 99, 'max-blob-size' => '60M', 'bulk-workers' => 3);
    reload($registry, 'another option');
    like(slurp($registry->dir . '/run/nginx.conf'), qr/client_max_body_size 62914560/, '... of which nginx is told');
    is_deeply([ $registry->nginx_master ], [$nginx], '... is the same');
    ok(wait_for(30, sub { !grep { my $worker = $_; grep { $_ == $worker } @workers } $registry->nginx_workers }), '... with new workers');
    end_clients($others, 'meanwhile');
};

# ---- what does not count ----

subtest 'what a restart alone changes, and mistakes' => sub {
    my $before = taken($registry);
    my $hup = sub ($pattern, $name) {
        my $n = $registry->logged($pattern);
        kill 'HUP', $registry->pid;
        ok(wait_for(30, sub { $registry->logged($pattern) > $n }), $name);
    };
    configure($conf, 'max-tags' => 99, 'max-blob-size' => '60M', 'bulk-workers' => 3, listen => '127.0.0.2');
    $hup->(qr/level=warn msg="a changed option counts after a restart" option=listen/, 'an option for which ports would have to be opened');
    spew($conf, "max-tags = 100\nnonsense = 1\n");
    $hup->(qr/level=error msg="the options stay as they were" why=.*a\.conf, line 2: /, 'a line that is no option');
    configure($conf, 'max-tags' => 7, retain => "$tmp/none");
    $hup->(qr/level=error msg="the options stay as they were" why=.*--retain .*no such file/, 'a file that is not there');
    spew("$tmp/bad", "#!/bin/sh\necho broken >&2\nexit 1\n");
    is(taken($registry), $before, '... and the same program serves');
    is_status($registry->get('/v2/'), 200, '... well');
    is(scalar($registry->children('worker bulk')), 3, '... with the options before');
    configure($conf, 'max-tags' => 1, 'bulk-workers' => 3);
    reload($registry, 'the next good ones count');
    my ($config, $manifest) = $registry->push_parts('c/d');
    is_status($registry->put_manifest('c/d', 'one', $manifest), 201, 'a tag');
    isnt($registry->put_manifest('c/d', 'two', $manifest)->status, 201, '... is the only one');
    is_status($registry->get('/v2/a/b/tags/list'), 200, 'the user of the command line logs in');
    is_status($registry->with(user => 'ann:wrong')->get('/v2/'), 401, '... with the right password');
};

subtest 'requests that last' => sub {
    mkdir $registry->dir . '/hooks';
    spew($registry->dir . '/hooks/pre-tag', "#!/bin/sh\nsleep 3\n");
    chmod 0755, $registry->dir . '/hooks/pre-tag';
    ok(wait_for(10, sub { -e $registry->dir . '/run/pre-hooks' && $registry->children('worker gate') }), 'a slow pre-hook');
    my ($config, $manifest) = $registry->push_parts('e/f');
    spew("$tmp/manifest", $manifest);
    my $push = curl_beside('-o', "$tmp/said", '-X', 'PUT', '--data-binary', "\@$tmp/manifest", '-H', 'Content-Type: ' . $registry->type_of($manifest), "$url/v2/e/f/manifests/v1");
    ok(wait_for(10, sub { grep { command_of($_) =~ m{hooks/pre-tag} } $registry->processes }), '... is asked');
    configure($conf, 'max-tags' => 2, 'bulk-workers' => 3);
    reload($registry, '... while the configuration changes');
    like($push->(), qr/^0 201 /, 'the push is accepted');
};

# ---- behind another web server ----

subtest 'without a web server of its own' => sub {
    my $sockets = tempdir();
    chmod 0755, $sockets;
    my $file = "$tmp/b.conf";
    configure($file, 'max-tags' => 10);
    my $other = Registry->start(fastcgi => "$sockets/s", args => [ '--config', $file ]);
    my $inode = (stat "$sockets/s/api.sock")[1];
    configure($file, 'max-tags' => 11);
    reload($other, 'SIGHUP');
    is((stat "$sockets/s/api.sock")[1], $inode, '... keeps the sockets');
    my $ran = Registry->try([ 'upgrade', '--dir', $other->dir ], program => "$tmp/other", timeout => 60);
    is($ran->{exit}, 0, 'upgrade') or diag($ran->{err});
    is((stat "$sockets/s/api.sock")[1], $inode, '... keeps them, too');
    is(readlink('/proc/' . $other->pid . '/exe'), "$tmp/other", '... for the other program');
};

subtest 'who may' => sub {
    my $none = tempdir();
    is(Registry->try([ 'upgrade', '--dir', $none ])->{exit}, 1, 'without a server: 1');
    is(Registry->try([ 'upgrade', 'x', '--dir', $registry->dir ])->{exit}, 2, 'a word: 2');
    SKIP: {
        skip 'only root becomes another user', 1 if !is_root() || !find_program('setpriv');
        my $ran = Registry->try([ 'upgrade', '--dir', $registry->dir ], program => "$tmp/other", prefix => [ 'setpriv', '--reuid=www-data', '--regid=www-data', '--clear-groups' ]);
        is($ran->{exit}, 1, 'a server that root started takes no program of its user');
        like($ran->{err}, qr/only root may replace its program/, '... and says so');
    }
};

is_tidy($registry);
is_sound($registry);
finish();
